//! Sockets that hold little.
//!
//! Left to itself, Linux lets each socket hold several mebibytes. Through a sidecar and a gateway that adds up to more
//! than most agents ever send: one that writes for long would learn only at the end that its first statement failed,
//! and a slow database would not slow it down. So what agents send is held to a stated size at every leg.

use std::io;
use std::net::SocketAddr;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// What a socket holds of an agent's bytes, in bytes. Linux doubles it for its own book-keeping (socket(7)). At 50 ms
/// there and back it lets some 4 MB/s up.
const HELD: u32 = 128 * 1024;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// A listener for agents.
///
/// # Errors
/// What the system says: most often that the port is taken.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // else a restart would have to wait for the last run's connections to be forgotten
    socket.set_reuseaddr(true)?;
    // before it listens: the window's scale is fixed when a connection begins
    socket.set_recv_buffer_size(HELD)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Lets a stream that carries agents' bytes onward hold no more than [`HELD`] of them.
pub(crate) fn hold_little(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_send_buffer_size(HELD as usize)
}
