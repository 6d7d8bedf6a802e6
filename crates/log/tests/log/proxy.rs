//! A TCP proxy that stands between a client and NATS, and cuts answers off.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    time::timeout,
};

/// Lets everything through until it is told to cut: then the answer to the next publish under a condition never arrives.
pub(crate) struct Proxy {
    pub(crate) url: String,
    cutting: Arc<AtomicBool>,
    cut: Arc<Notify>,
}

impl Proxy {
    pub(crate) async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("nats://{}", listener.local_addr().unwrap());
        let cutting = Arc::new(AtomicBool::new(false));
        let cut = Arc::new(Notify::new());
        let (told, tell) = (Arc::clone(&cutting), Arc::clone(&cut));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(to).await.unwrap();
                tokio::spawn(carry(client, server, Arc::clone(&told), Arc::clone(&tell)));
            }
        });
        Self { url, cutting, cut }
    }

    pub(crate) fn cut_next_answer(&self) {
        self.cutting.store(true, Ordering::SeqCst);
    }

    /// Waits until an answer was cut off.
    pub(crate) async fn has_cut(&self) {
        let cut = timeout(Duration::from_secs(20), self.cut.notified()).await;
        assert!(cut.is_ok(), "nothing was published under a condition");
    }
}

async fn carry(
    client: TcpStream,
    server: TcpStream,
    cutting: Arc<AtomicBool>,
    cut: Arc<Notify>,
) -> Option<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let published = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&published);
    tokio::spawn(async move {
        let mut bytes = vec![0; 1 << 20];
        loop {
            let count = from_client.read(&mut bytes).await.ok().filter(|count| *count > 0)?;
            let text = String::from_utf8_lossy(&bytes[..count]);
            if cutting.load(Ordering::SeqCst) && text.contains("Nats-Expected-Last-Sequence") {
                seen.store(true, Ordering::SeqCst);
                cutting.store(false, Ordering::SeqCst);
            }
            to_server.write_all(&bytes[..count]).await.ok()?;
        }
        #[expect(unreachable_code, reason = "gives the block its type")]
        Some(())
    });
    let mut bytes = vec![0; 1 << 20];
    loop {
        let count = from_server.read(&mut bytes).await.ok().filter(|count| *count > 0)?;
        // The stream's answer to a publish is the only message that has a sequence and no time.
        let text = String::from_utf8_lossy(&bytes[..count]);
        if published.load(Ordering::SeqCst) && text.contains("\"seq\"") {
            cut.notify_one();
            return None;
        }
        to_client.write_all(&bytes[..count]).await.ok()?;
    }
}
