# kube-proxy calls iptables. It is on top of the others, so that a node stores their common binary once.
ARG KUBE
FROM $KUBE
ADD proxy.tar /
COPY links/ /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
