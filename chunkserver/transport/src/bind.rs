//! A port comes in, a listener on every address of the machine goes out.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::TcpListener;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Listens on `port` (0: any that is free) by IPv6 and IPv4, or by IPv4 alone where the machine has no other. Within a runtime.
pub fn listen(port: u16) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = match open(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))) {
        // The port is the trouble, not the protocol.
        Err(error) if matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied) => return Err(error),
        Err(_) => open(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))?,
        Ok(listener) => listener,
    };
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // A server that is started again finds its old connections still fading.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
