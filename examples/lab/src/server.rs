use std::io;
use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpSocket;
use tokio::runtime::{Builder, Runtime};

/// How many connections wait until they are accepted. What comes beyond the usual 128 would be lost, and tried again by its client a second later.
const BACKLOG: u32 = 1_024;

/// An HTTP server, on a thread of its own until it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    _runtime: Runtime,
}

impl Server {
    /// Starts it on a free port of the loopback interface.
    ///
    /// # Errors
    ///
    /// What the system says, if it gives no thread or no port.
    pub(crate) fn start(routes: Router) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("server").enable_all().build()?;
        let listener = runtime.block_on(async {
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
            socket.listen(BACKLOG)
        })?;
        let address = listener.local_addr()?;
        runtime.spawn(axum::serve(listener, routes).into_future());
        Ok(Self { address, _runtime: runtime })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}
