"""What makes the cluster reconcile: the controller manager, the scheduler and the kubelets, a controller a file.

Each says to ``loop`` which changes concern it, and is then called once for each object that it has to look at again.
"""
