# The node: Debian with systemd, containerd and runc, and the files of kind's own base image, whose entrypoint it has.
FROM scratch
ADD node.tar /
COPY files/ /
ARG PAUSE
# Only what a node needs may start with it. containerd has to accept that it cannot lower an OOM score where
# CAP_SYS_RESOURCE is withheld, and to do without cri-base.json, which kind generates for the machine's product files.
RUN chmod 755 /usr/local/bin/* /kind /kind/bin /kind/bin/* \
 && rm -f /lib/systemd/system/multi-user.target.wants/* /etc/systemd/system/*.wants/* \
          /lib/systemd/system/local-fs.target.wants/* /lib/systemd/system/basic.target.wants/* \
          /lib/systemd/system/sockets.target.wants/*udev* /lib/systemd/system/sockets.target.wants/*initctl* \
          /lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service \
 && echo ReadKMsg=no >>/etc/systemd/journald.conf \
 && ln -sf /usr/bin/containerd /usr/local/bin/containerd \
 && mkdir -p /opt/cni/bin /etc/cni/net.d /etc/kubernetes/manifests \
 && cp /usr/lib/cni/* /opt/cni/bin/ \
 && sed -i 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/; s/base_runtime_spec/#&/; s#sandbox_image = .*#sandbox_image = "'"$PAUSE"'"#' /etc/containerd/config.toml \
 && systemctl enable kubelet containerd undo-mount-hacks && systemctl mask systemd-binfmt
ENV container=docker
STOPSIGNAL SIGRTMIN+3
ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]
