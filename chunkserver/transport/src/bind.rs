//! A listener for a port on all addresses of the machine.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::TcpListener;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Listens on `port` (0: a free port) with IPv6 and IPv4, or with IPv4 alone where the machine has no IPv6. Needs a tokio runtime.
///
/// # Errors
/// When the port is in use or not permitted.
pub fn listen(port: u16) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = match open(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))) {
        // The error concerns the port, so that IPv4 would fail too.
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
    // Old connections of a restarted server may still be in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
