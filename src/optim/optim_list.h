/* All optimizers. OPTIM(name) stands for `optim_<name>` in src/optim/<name>.c. */
OPTIM(sgd)
OPTIM(lars)
OPTIM(adamw)
OPTIM(lamb)
