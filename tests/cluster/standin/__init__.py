"""A Kubernetes cluster on this machine: the API server's behaviour over HTTP, and controllers that reconcile.

``server.Standin`` begins it as a process of its own; ``staging`` fills it with the application. Within that process
``gate`` receives every request, authenticates, records and authorizes it, and lets it fail where a test says so;
``api`` answers it out of ``registry``, which keeps all objects in ``store`` under the rules of the API server. The
modules of ``controllers`` play the controller manager, the scheduler and the kubelets. Time is scaled: durations are in
seconds of the cluster, each of which lasts ``settings.second_s``.

Pods may be real processes (``processes``, ``proxy``) behind services that really lead to them (``services``).

What it must do was measured on a real 1.35 control plane; what was not comes from the Kubernetes documentation.
"""
