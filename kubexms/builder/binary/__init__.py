"""The passes for clusters without kubeadm: authorities and certificates, units, credentials."""
