//! The least of an AMQP 0-9-1 client: enough to make a broker write about it.
//!
//! Owns frames and the handful of methods that a test needs. Never interprets what it is told beyond which method it is.

use std::io::{Read as _, Result, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// Class and method of AMQP 0-9-1.
type Method = (u16, u16);

const START: Method = (10, 10);
const START_OK: Method = (10, 11);
const TUNE: Method = (10, 30);
const TUNE_OK: Method = (10, 31);
const OPEN: Method = (10, 40);
const OPEN_OK: Method = (10, 41);
const CLOSE: Method = (10, 50);
const CLOSE_OK: Method = (10, 51);
const CHANNEL_OPEN: Method = (20, 10);
const CHANNEL_OPEN_OK: Method = (20, 11);
pub(super) const CHANNEL_CLOSE: Method = (20, 40);
const DECLARE: Method = (50, 10);
pub(super) const DECLARED: Method = (50, 11);
const PUBLISH: Method = (60, 40);

/// A connection with one channel.
#[derive(Debug)]
pub(super) struct AmqpClient {
    stream: TcpStream,
}

fn short(text: &str) -> Vec<u8> {
    [&[text.len() as u8], text.as_bytes()].concat()
}

impl AmqpClient {
    /// Connects and sends these first bytes, whatever they are.
    pub(super) fn connect(port: u16, first: &[u8]) -> Result<Self> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.write_all(first)?;
        Ok(Self { stream })
    }

    /// Logs in and opens a channel; an error if it is refused.
    pub(super) fn log_in(port: u16, user: &str, password: &str) -> Result<Self> {
        let mut client = Self::connect(port, b"AMQP\0\0\x09\x01")?;
        client.wait(START)?;
        let secret = format!("\0{user}\0{password}");
        let length = (secret.len() as u32).to_be_bytes();
        let no_properties = [0; 4];
        client.method(
            0,
            START_OK,
            &[&no_properties[..], &short("PLAIN"), &length, secret.as_bytes(), &short("en_US")],
        )?;
        client.wait(TUNE)?;
        client.method(
            0,
            TUNE_OK,
            &[&2_047_u16.to_be_bytes(), &131_072_u32.to_be_bytes(), &[0, 0]],
        )?;
        client.method(0, OPEN, &[&short("/"), &short(""), &[0]])?;
        client.wait(OPEN_OK)?;
        client.method(1, CHANNEL_OPEN, &[&short("")])?;
        client.wait(CHANNEL_OPEN_OK)?;
        Ok(client)
    }

    /// Declares a queue, or only asks for it; what the answer is.
    pub(super) fn declare(&mut self, queue: &str, only_ask: bool) -> Result<Method> {
        let (no_table, bits) = ([0; 4], [u8::from(only_ask)]);
        self.method(1, DECLARE, &[&[0, 0], &short(queue), &bits, &no_table])?;
        self.answer()
    }

    /// Publishes a message to a queue.
    pub(super) fn publish(&mut self, queue: &str, body: &[u8]) -> Result<()> {
        self.method(1, PUBLISH, &[&[0, 0], &short(""), &short(queue), &[0]])?;
        let length = (body.len() as u64).to_be_bytes();
        self.frame(2, 1, &[&[0, 60, 0, 0], &length[..], &[0, 0]].concat())?;
        self.frame(3, 1, body)
    }

    /// Says good-bye.
    pub(super) fn close(mut self) -> Result<()> {
        self.method(0, CLOSE, &[&[0, 200], &short("bye"), &[0; 4]])?;
        self.wait(CLOSE_OK)
    }

    /// The next method of the broker.
    pub(super) fn answer(&mut self) -> Result<Method> {
        loop {
            let mut head = [0; 7];
            self.stream.read_exact(&mut head)?;
            let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
            let mut payload = vec![0; length + 1];
            self.stream.read_exact(&mut payload)?;
            // Others are heartbeats and messages.
            if head[0] == 1 && length >= 4 {
                let number = |at: usize| u16::from_be_bytes([payload[at], payload[at + 1]]);
                return Ok((number(0), number(2)));
            }
        }
    }

    fn wait(&mut self, wanted: Method) -> Result<()> {
        let got = self.answer()?;
        if got == wanted {
            return Ok(());
        }
        Err(std::io::Error::other(format!("the broker says {got:?} and not {wanted:?}")))
    }

    fn method(&mut self, channel: u16, method: Method, arguments: &[&[u8]]) -> Result<()> {
        let head = [method.0.to_be_bytes(), method.1.to_be_bytes()].concat();
        self.frame(1, channel, &[&head, &arguments.concat()[..]].concat())
    }

    fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) -> Result<()> {
        let length = (payload.len() as u32).to_be_bytes();
        let channel = channel.to_be_bytes();
        self.stream.write_all(&[&[kind], &channel[..], &length, payload, &[0xce]].concat())
    }
}
