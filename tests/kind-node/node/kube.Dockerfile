# etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kube-proxy, all names of one binary
FROM scratch
COPY . /
ENV PATH=/usr/local/bin
