# EM iterations of mclust (protocol: native_peer.hpp):
#
#   Rscript mclust_gmm.R FOLDER ROWS DIMENSIONS COMPONENTS full|diagonal ITERATIONS wall|cpu
suppressPackageStartupMessages(library(mclust))

arguments <- commandArgs(trailingOnly = TRUE)
sizes <- as.numeric(arguments[2:4])
rows <- sizes[1]
d <- sizes[2]
k <- sizes[3]
read_numbers <- function(name, count, size) {
    file <- file(file.path(arguments[1], name), "rb")
    on.exit(close(file))
    readBin(file, "numeric", count, size)
}
x <- matrix(read_numbers("rows.f32", rows * d, 4), rows, d, byrow = TRUE)
means <- matrix(read_numbers("means.f64", k * d, 8), d, k)

full <- arguments[5] == "full"
name <- if (d == 1) "V" else if (full) "VVV" else "VVI"
identities <- array(diag(d), c(d, d, k))
variance <- if (d == 1) list(modelName = name, d = 1, G = k, sigmasq = rep(1, k)) else
    if (full) list(modelName = name, d = d, G = k, sigma = identities, cholsigma = identities) else
    list(modelName = name, d = d, G = k, sigma = identities, scale = rep(1, k), shape = matrix(1, d, k))
start <- list(pro = rep(1 / k, k), mean = means, variance = variance)

seconds <- function(iterations) {
    time <- system.time(em(x, modelName = name, parameters = start,
                           control = emControl(itmax = c(iterations, iterations), tol = c(0, 0))))
    if (arguments[7] == "cpu") time[["user.self"]] + time[["sys.self"]] else time[["elapsed"]]
}
# The difference of two fits leaves out what is done once.
more <- as.numeric(arguments[6])
log_likelihood <- estep(x, modelName = name, parameters = start)$loglik / rows
options(warn = -1) # each fit says that it did not converge
one <- seconds(1)
cat(sprintf("%.9g %.9g\n", log_likelihood, (seconds(1 + more) - one) / more))
