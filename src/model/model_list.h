/* Every model; a new one is a line here (and its family's file). */
MODEL(mlp)
MODEL(lenet)
MODEL(resnet20)
MODEL(resnet32)
MODEL(resnet56)
MODEL(plain20)
MODEL(plain32)
MODEL(plain56)
