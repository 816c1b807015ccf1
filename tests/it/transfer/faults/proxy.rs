//! A connection between the operations and the emulator that misbehaves: cut in the middle, or silent for good.

use std::time::Duration;

use redrive::cloud::Cloud;
use redrive::ops::Ops;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::ops::World;

/// How many connections were opened, and which of them are cut or silent: all below a number.
#[derive(Default)]
struct Line {
    opened: u64,
    cut_below: u64,
    silent_below: u64,
}

/// Listens at an address of its own and passes everything on.
pub(super) struct Proxy {
    address: String,
    line: watch::Sender<Line>,
}

impl Proxy {
    pub(super) async fn before(world: &World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let upstream = world.emulator.address();
        let line = watch::Sender::new(Line::default());
        let lines = line.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut number = 0;
                lines.send_modify(|line| {
                    number = line.opened;
                    line.opened += 1;
                });
                let server = TcpStream::connect(upstream).await.unwrap();
                tokio::spawn(pass(client, server, lines.subscribe(), number));
            }
        });
        Self { address, line }
    }

    /// The operations of an operator on this side, with the same home.
    pub(super) fn ops(&self, world: &World) -> Ops {
        Ops::new(Cloud::emulator(&self.address, "shop".parse().unwrap()).unwrap(), world.home.clone(), false).unwrap()
    }

    /// Ends every connection that is open.
    pub(super) fn cut(&self) {
        self.line.send_modify(|line| line.cut_below = line.opened);
    }

    /// Holds back, for good, whatever the server still says on the connections that are open; they stay open.
    pub(super) fn silence(&self) {
        self.line.send_modify(|line| line.silent_below = line.opened);
    }

    /// Cuts so many times, then no more; never returns.
    pub(super) async fn cut_often(&self, times: u32, every: Duration) {
        for _ in 0..times {
            tokio::time::sleep(every).await;
            self.cut();
        }
        std::future::pending::<()>().await;
    }
}

async fn pass(mut client: TcpStream, mut server: TcpStream, mut line: watch::Receiver<Line>, number: u64) {
    let mut held_back = line.clone();
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let down = async {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let Ok(count @ 1..) = from_server.read(&mut buffer).await else { return };
            if held_back.wait_for(|line| line.silent_below <= number).await.is_err() || to_client.write_all(&buffer[..count]).await.is_err()
            {
                return;
            }
        }
    };
    tokio::select! {
        // Either side hung up, and that is all that is to be said.
        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
        () = down => {}
        _ = line.wait_for(|line| line.cut_below > number) => {}
    }
}
