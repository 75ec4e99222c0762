# What brms answers on Longley's table with a prior sd of its own; run from the root of the repository:
#   Rscript tests/truth/data/brms.R > tests/truth/data/brms.json
# Columns are divided by their standard deviation (denominator n). Beside each mean stands its Monte Carlo error.
suppressMessages(library(brms))
if (system.file("include", package = "BH") == "") rstan::rstan_options(boost_lib = "/usr/include")  # Debian has Boost there
d <- read.csv("data/longley.csv")
y <- d$TOTEMP / 1000; X <- as.matrix(d[, names(d) != "TOTEMP"])
Z <- as.data.frame(apply(X, 2, function(x) (x - mean(x)) / sqrt(mean((x - mean(x))^2))))
prior <- c(set_prior("normal(0, 1.5)", class = "b"), set_prior("cauchy(0, 0.5)", class = "sigma"),
           set_prior("", class = "Intercept"))
fit <- brm(y ~ ., data = cbind(y = y, Z), prior = prior, chains = 4, iter = 6000, warmup = 1000, seed = 1, refresh = 0,
           silent = 2, control = list(adapt_delta = 0.95))
s <- rstan::summary(fit$fit, pars = c(paste0("b_", colnames(Z)), "sigma"))$summary
show <- function(name, v) cat(sprintf('  "%s": [%s]', name, paste(sprintf("%.10g", v), collapse = ", ")))
cat("{\n")
cat(sprintf('  "versions": "R %s, brms %s, rstan %s", "prior_sd": 1.5, "cauchy": 0.5,\n', getRversion(), packageVersion("brms"), packageVersion("rstan")))
show("mean", s[, "mean"]); cat(",\n"); show("mcse", s[, "se_mean"]); cat(",\n"); show("sd", s[, "sd"]); cat(",\n"); show("n_eff", s[, "n_eff"]); cat("\n}\n")
