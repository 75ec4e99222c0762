# What mgcv makes of the table that tests/truth/test_mixed_in_r.py writes with
#   python -c "from tests.truth.test_mixed_in_r import smooth_table as t; t().to_csv('smooth.csv', index=False)"
# Rscript mgcv_psplines.R > mgcv_psplines.json
library(mgcv); library(jsonlite)
table <- read.csv("smooth.csv", stringsAsFactors = TRUE)
close <- gam.control(epsilon = 1e-14, newton = list(conv.tol = 1e-12))
said <- function(m, k) list(k = k, sp = unname(if (length(m$sp)) m$sp else m$full.sp),
  S.scale = m$smooth[[1]]$S.scale, edf = sum(m$edf), fitted = unname(fitted(m)))
one <- function(k, sp = NULL)
  said(gam(y ~ s(x, bs = "ps", k = k, m = c(2, 2)), data = table, method = "REML", sp = sp, control = close), k)
by <- gam(y ~ g + s(x, by = g, bs = "ps", k = 10, id = 1), data = table, method = "REML", control = close)
cat(toJSON(list(reml20 = one(20), reml12 = one(12), fixed0.01 = one(20, 0.01), fixed100 = one(20, 100),
  by = said(by, 10)), digits = 17, auto_unbox = TRUE))
