# What R's libraries answer on Longley's table at one lambda of theirs; run from the root of the repository:
#   Rscript tests/truth/data/translate.R > tests/truth/data/translate.json
# Columns are divided by their standard deviation (denominator n) for those that take them as they are.
suppressMessages({library(glmnet); library(MASS); library(mgcv)})
d <- read.csv("data/longley.csv")
y <- d$TOTEMP; X <- as.matrix(d[, names(d) != "TOTEMP"]); n <- nrow(X); p <- ncol(X)
Z <- apply(X, 2, function(x) (x - mean(x)) / sqrt(mean((x - mean(x))^2)))
many <- as.numeric(y > median(y)); counts <- round(10 * (y / 1000 - 60))
tight <- function(...) as.numeric(coef(glmnet(alpha = 0, thresh = 1e-25, maxit = 1e8, ...)))[-1]
show <- function(name, value, b) cat(sprintf('  "%s": {"value": %.17g, "coef": [%s]}', name, value, paste(sprintf("%.15g", b), collapse = ", ")))
cat("{\n")
cat(sprintf('  "versions": "R %s, glmnet %s, MASS %s, mgcv %s",\n', getRversion(), packageVersion("glmnet"), packageVersion("MASS"), packageVersion("mgcv")))
show("glmnet", 500, tight(X, y, lambda = 500)); cat(",\n")
show("glmnet, other families", 0.25, tight(X, many, family = "binomial", lambda = 0.25)); cat(",\n")
show("glmnet poisson", 0.75, tight(X, counts, family = "poisson", lambda = 0.75)); cat(",\n")
show("MASS::lm.ridge", 0.3, as.numeric(coef(lm.ridge(y ~ X, lambda = 0.3)))[-1]); cat(",\n")
g <- gam(y ~ Z, paraPen = list(Z = list(diag(p), sp = 0.3)))
show("mgcv::gam", 0.3, as.numeric(coef(g))[-1] / sqrt(colMeans((X - rep(colMeans(X), each = n))^2))); cat("\n}\n")
