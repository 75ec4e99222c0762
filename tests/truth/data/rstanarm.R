# What rstanarm answers on Longley's table with a prior sd of its own; run from the root of the repository:
#   Rscript tests/truth/data/rstanarm.R > tests/truth/data/rstanarm.json
# Columns are divided by their standard deviation (denominator n). Beside each mean stands its Monte Carlo error.
suppressMessages(library(rstanarm))
d <- read.csv("data/longley.csv")
y <- d$TOTEMP / 1000; X <- as.matrix(d[, names(d) != "TOTEMP"])
Z <- apply(X, 2, function(x) (x - mean(x)) / sqrt(mean((x - mean(x))^2)))
fit <- stan_glm(y ~ Z, prior = normal(0, 1.5, autoscale = FALSE), prior_intercept = NULL,
                prior_aux = cauchy(0, 0.5, autoscale = FALSE), chains = 4, iter = 6000, warmup = 1000, seed = 1, refresh = 0,
                control = list(adapt_delta = 0.95))
s <- as.data.frame(summary(fit, digits = 15)); s <- s[c(paste0("Z", colnames(Z)), "sigma"), ]
show <- function(name, v) cat(sprintf('  "%s": [%s]', name, paste(sprintf("%.10g", v), collapse = ", ")))
cat("{\n")
cat(sprintf('  "versions": "R %s, rstanarm %s", "prior_sd": 1.5, "cauchy": 0.5,\n', getRversion(), packageVersion("rstanarm")))
show("mean", s$mean); cat(",\n"); show("mcse", s$mcse); cat(",\n"); show("sd", s$sd); cat(",\n"); show("n_eff", s$n_eff); cat("\n}\n")
