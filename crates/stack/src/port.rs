use std::{
    io,
    net::{Ipv4Addr, TcpListener, UdpSocket},
    ops::Range,
};

/// Below those that the kernel gives, unless it is told otherwise, to whoever asks for any, such as connections that go out, and below those of
/// Kubernetes.
const RANGE: Range<u16> = 20_000..30_000;
const TRIES: usize = 1000;

/// A port of loopback for a program to listen on, which no other launcher is given meanwhile.
///
/// One that was only found free could be another's by the time that the program listens there, whose server then answers in its place. So the
/// UDP port of the same number, which hardly anybody else asks for, is held as long as the program may run, or run again.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _held: UdpSocket,
}

impl Port {
    /// One of many.
    pub fn any() -> io::Result<Self> {
        for _ in 0..TRIES {
            let mut random = [0; 2];
            getrandom::fill(&mut random).map_err(io::Error::other)?;
            let number = RANGE.start + u16::from_ne_bytes(random) % (RANGE.end - RANGE.start);
            match Self::reserve(number) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => (),
                reserved => return reserved,
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "no port of loopback is free"))
    }

    /// This one. Fails if it is another's, or somebody listens there.
    pub fn reserve(number: u16) -> io::Result<Self> {
        let held = UdpSocket::bind((Ipv4Addr::LOCALHOST, number))?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, number))?;
        Ok(Self { number, _held: held })
    }

    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_one_holders_until_it_is_dropped() {
        let port = Port::any().unwrap();
        let number = port.number();
        // Its program listens, ends, and may listen there again.
        drop(TcpListener::bind((Ipv4Addr::LOCALHOST, number)).unwrap());
        assert_eq!(Port::reserve(number).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(port);
        assert_eq!(Port::reserve(number).unwrap().number(), number);
    }

    #[test]
    fn where_somebody_listens_is_not_given() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let number = listener.local_addr().unwrap().port();
        assert_eq!(Port::reserve(number).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
