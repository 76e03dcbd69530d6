/* Every kind of source, in the order in which they are asked; a new one is its file and
 * one line here. */
SOURCE(cifar)
SOURCE(folder)
SOURCE(idx)
SOURCE(tar)
