//! A name server that answers as the first label of a name says: `shop`, `empty`, `long`, `broken`, `silent`; others do not exist.
//!
//! Owns the few bytes of RFC 1035 this takes, over UDP and TCP. Knows addresses (A) only.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// Bytes of a message before its question.
const HEAD: usize = 12;

/// What is answered to a question; `None` is silence, also to what is no question.
fn answer(question: &[u8], by_udp: bool) -> Option<Vec<u8>> {
    let name_length: usize = (*question.get(HEAD)?).into();
    let first = question.get(HEAD + 1..HEAD + 1 + name_length)?.to_ascii_lowercase();
    let labels_end = HEAD + question[HEAD..].iter().position(|&byte| byte == 0)?;
    let asked = question.get(HEAD..labels_end + 5)?;
    let is_address = asked[asked.len() - 4..] == [0, 1, 0, 1];
    // How many addresses there are, the code, and whether it is cut off (RFC 1035, 4.1.1).
    let (n, code, is_cut) = match first.as_slice() {
        b"shop" if is_address => (2, 0, false),
        b"long" if is_address => (100, 0, by_udp),
        b"shop" | b"long" | b"empty" => (0, 0, false),
        b"broken" => (0, 2, false),
        b"silent" => return None,
        _ => (0, 3, false),
    };
    let n: u8 = if is_cut { 0 } else { n };
    let mut reply = question[..2].to_vec();
    // An answer, with recursion asked for and to be had; one question, so many answers.
    reply.extend([0x81 | if is_cut { 2 } else { 0 }, 0x80 | code, 0, 1, 0, n, 0, 0, 0, 0]);
    reply.extend(asked);
    for last in 1..=n {
        // The name of the question again; A, IN, 60 s, 4 bytes.
        reply.extend([0xc0, HEAD as u8, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, last]);
    }
    Some(reply)
}

/// Starts one. `shop` has the addresses 10.0.0.1 and 10.0.0.2, `long` a hundred, which are too many for UDP; `empty` none.
///
/// # Errors
/// If nothing can listen.
pub async fn name_server() -> anyhow::Result<SocketAddr> {
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await?;
        // The same port for both, which another test may just have taken.
        if let Ok(tcp) = TcpListener::bind(udp.local_addr()?).await {
            break (udp, tcp);
        }
    };
    let address = udp.local_addr()?;
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((n, from)) = udp.recv_from(&mut buffer).await {
            if let Some(reply) = answer(&buffer[..n], true) {
                let _ = udp.send_to(&reply, from).await;
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((stream, _)) = tcp.accept().await {
            tokio::spawn(by_tcp(stream));
        }
    });
    Ok(address)
}

async fn by_tcp(mut stream: TcpStream) -> Option<()> {
    loop {
        let mut question = vec![0; stream.read_u16().await.ok()?.into()];
        stream.read_exact(&mut question).await.ok()?;
        if let Some(reply) = answer(&question, false) {
            stream.write_u16(u16::try_from(reply.len()).ok()?).await.ok()?;
            stream.write_all(&reply).await.ok()?;
        }
    }
}
