use std::{
    fs,
    io::Read,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    Interrupt, Port,
    process::{Program, Stop, tied},
};

const START_MAX: Duration = Duration::from_secs(30);

/// A private NATS with JetStream, which syncs each publish before it answers: its default loses acknowledged messages in a power cut.
#[derive(Debug)]
pub struct Nats {
    program: Program,
    server: PathBuf,
    folder: PathBuf,
    port: Port,
}

impl Nats {
    pub fn start(server: &Path, folder: &Path, interrupt: &Interrupt) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)?;
        let port = Port::any()?;
        let number = port.number();
        let (config, store) = (folder.join("nats.conf"), folder.join("store"));
        let text = format!(
            "listen: \"127.0.0.1:{number}\"\nserver_name: bramble\njetstream {{ store_dir: {:?}, sync_interval: always }}\n",
            store.display().to_string()
        );
        fs::write(&config, text)?;
        let (server, folder) = (server.to_owned(), folder.to_owned());
        let mut nats = Self { program: spawn(&server, &folder)?, server, folder, port };
        nats.program.wait_until(START_MAX, interrupt, || greets(number))?;
        Ok(nats)
    }

    /// Starts it again where it was, stopping it first if it runs.
    pub fn restart(&mut self, interrupt: &Interrupt) -> anyhow::Result<()> {
        self.program.stop()?;
        self.program = spawn(&self.server, &self.folder)?;
        let port = self.port.number();
        self.program.wait_until(START_MAX, interrupt, || greets(port))
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port.number())
    }

    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }
}

fn spawn(server: &Path, folder: &Path) -> anyhow::Result<Program> {
    let mut command = tied(server, Stop::Term);
    command.arg("-c").arg(folder.join("nats.conf"));
    Program::start("nats-server", &mut command, Stop::Term, &folder.join("log"))
}

/// A NATS server speaks first.
fn greets(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else {
        return false;
    };
    let mut greeting = [0; 4];
    stream.set_read_timeout(Some(Duration::from_secs(1))).is_ok()
        && stream.read_exact(&mut greeting).is_ok()
        && &greeting == b"INFO"
}
