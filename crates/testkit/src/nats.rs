use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::{Child, Command},
    time::Duration,
};

use stack::Port;

/// A `nats-server` of a test's own, the one on the path; ended with it.
pub struct TestNats {
    child: Child,
    port: Port,
    store: tempfile::TempDir,
    config: String,
}

impl TestNats {
    pub async fn start() -> Self {
        Self::with_config("").await
    }

    /// With a text in the form of nats-server's own file.
    pub async fn with_config(config: &str) -> Self {
        let store = tempfile::tempdir().unwrap();
        let port = Port::any().unwrap();
        let child = spawn(&port, &store, config);
        let mut nats = Self { child, port, store, config: config.to_owned() };
        nats.wait().await;
        nats
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port.number())
    }

    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port.number()))
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again where it was.
    pub async fn restart(&mut self) {
        self.child = spawn(&self.port, &self.store, &self.config);
        self.wait().await;
    }

    /// Kills it, and starts it with nothing.
    pub async fn wipe(&mut self) {
        self.kill();
        self.store = tempfile::tempdir().unwrap();
        self.restart().await;
    }

    async fn wait(&mut self) {
        loop {
            let ended = self.child.try_wait().unwrap();
            let said = || fs::read_to_string(self.store.path().join("log")).unwrap_or_default();
            assert!(ended.is_none(), "nats-server has ended: {ended:?}\n{}", said());
            if TcpStream::connect(self.addr()).is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn spawn(port: &Port, store: &tempfile::TempDir, config: &str) -> Child {
    let file = store.path().join("nats.conf");
    fs::write(&file, config).unwrap();
    let log = fs::File::options().create(true).append(true).open(store.path().join("log")).unwrap();
    Command::new("nats-server")
        .arg("-c")
        .arg(file)
        .args(["-js", "-a", "127.0.0.1", "-p", &port.number().to_string(), "-sd"])
        .arg(store.path())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

impl Drop for TestNats {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
