# lme4 and mgcv on ten tables, written as CSV by benchmarks/mixed_in_r.py, which calls this: Rscript mixed_in_r.R FOLDER
suppressMessages({library(lme4); library(mgcv); library(jsonlite)})
folder <- commandArgs(TRUE)[1]
cases <- fromJSON(file.path(folder, "cases.json"), simplifyVector = FALSE)
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5), check.conv.singular = "ignore",
                     check.conv.grad = "ignore", check.conv.hess = "ignore")
mixed <- function(case, table) {
  spent <- system.time(m <- lmer(as.formula(case$formula), table, control = tight))[[1]]
  ml <- lmer(as.formula(case$formula), table, REML = FALSE)
  low <- suppressWarnings(suppressMessages(confint(ml, parm = "theta_", oldNames = FALSE, quiet = TRUE)))
  v <- as.data.frame(VarCorr(m))
  list(reml = REMLcrit(m), ml = deviance(ml), names = v$grp, var1 = v$var1, var2 = v$var2, sds = v$sdcor,
       fixed = unname(fixef(m)), fitted = unname(fitted(m)), seconds = spent,
       profile = unname(apply(low, 1, as.numeric, simplify = FALSE)), profile_names = rownames(low))
}
smooth <- function(case, table) {
  close <- gam.control(epsilon = 1e-14, newton = list(conv.tol = 1e-12))
  spent <- system.time(m <- gam(as.formula(case$formula), data = table, method = "REML", control = close))[[1]]
  list(edf = sum(m$edf), fitted = unname(fitted(m)), seconds = spent, sigma = sqrt(m$sig2))
}
out <- lapply(cases, function(case) {
  table <- read.csv(file.path(folder, paste0(case$table, ".csv")), stringsAsFactors = TRUE)
  for (name in unlist(case$factors)) table[[name]] <- factor(table[[name]])
  if (case$kind == "smooth") smooth(case, table) else mixed(case, table)
})
cat(toJSON(out, digits = 15, auto_unbox = TRUE, na = "null"))
