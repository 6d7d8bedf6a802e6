use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use stack::{
    Port,
    process::{Program, Stop, tied},
};

/// A `nats-server` of a test's own, the one on the path; ended with it.
pub struct TestNats {
    program: Program,
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
        let program = spawn(&port, &store, config);
        let mut nats = Self { program, port, store, config: config.to_owned() };
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
        self.program.kill().unwrap();
    }

    /// Starts it again where it was.
    pub async fn restart(&mut self) {
        self.program = spawn(&self.port, &self.store, &self.config);
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
            self.program.check().unwrap();
            if TcpStream::connect(self.addr()).is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn spawn(port: &Port, store: &tempfile::TempDir, config: &str) -> Program {
    let file = store.path().join("nats.conf");
    fs::write(&file, config).unwrap();
    let mut command = tied("nats-server", Stop::Term);
    command
        .arg("-c")
        .arg(file)
        .args(["-js", "-a", "127.0.0.1", "-p", &port.number().to_string(), "-sd"])
        .arg(store.path());
    Program::start("nats-server", &mut command, Stop::Term, &store.path().join("log")).unwrap()
}

impl Drop for TestNats {
    fn drop(&mut self) {
        // Nobody wants what it would still save.
        let _ = self.program.kill();
    }
}
