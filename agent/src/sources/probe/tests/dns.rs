//! Probing of name servers: a small one of our own, over UDP and TCP, that answers as its names say.

use std::net::{Ipv4Addr, SocketAddr};

use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, MX, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use watchkeeper_agent_core::probe::Reason;

use super::scene::{settings, told};

/// What is answered; `None` is silence.
fn answer(question: &[u8], by_udp: bool) -> Option<Vec<u8>> {
    let asked = Message::from_vec(question).ok()?;
    let query = asked.queries.first()?.clone();
    let mut reply = Message::new(asked.metadata.id, MessageType::Response, asked.metadata.op_code);
    reply.metadata.recursion_available = true;
    reply.add_query(query.clone());
    let name = query.name().clone();
    let first = name.to_string().split('.').next().unwrap_or_default().to_owned();
    let mut say = |data| _ = reply.add_answer(Record::from_rdata(name.clone(), 60, data));
    match (first.as_str(), query.query_type()) {
        ("shop", RecordType::A) => {
            say(RData::A(A(Ipv4Addr::new(10, 0, 0, 1))));
            say(RData::A(A(Ipv4Addr::new(10, 0, 0, 2))));
        }
        ("shop", RecordType::MX) => {
            say(RData::MX(MX::new(10, Name::from_ascii("mail.test.").unwrap())));
        }
        ("shop", RecordType::TXT) => say(RData::TXT(TXT::new(vec!["v=spf1 -all".to_owned()]))),
        ("long", RecordType::A) if by_udp => reply.metadata.truncation = true,
        ("long", RecordType::A) => {
            (0..100).for_each(|n| say(RData::A(A(Ipv4Addr::new(10, 1, 0, n)))))
        }
        ("broken", _) => reply.metadata.response_code = ResponseCode::ServFail,
        ("refused", _) => reply.metadata.response_code = ResponseCode::Refused,
        ("silent", _) => return None,
        ("garbage", _) => return Some([&question[..2], &[0x80; 9]].concat()),
        ("shop", _) => {}
        _ => reply.metadata.response_code = ResponseCode::NXDomain,
    }
    reply.to_vec().ok()
}

async fn server() -> SocketAddr {
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        // The same port for both, which another test may just have taken.
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            break (udp, tcp);
        }
    };
    let address = udp.local_addr().unwrap();
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
    address
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

#[tokio::test]
async fn records_are_asked_for_and_judged() {
    let at = server().await;
    for (sentence, question, expect, reason, why) in [
        (
            "addresses",
            "name: shop.test",
            "answers.exists(a, a == \"10.0.0.2\") && ttl == duration(\"60s\")",
            Reason::Ok,
            "",
        ),
        ("nothing expected", "name: shop.test", "", Reason::Ok, ""),
        (
            "a mail exchanger",
            "name: shop.test, type: MX",
            "answers[0] == \"10 mail.test.\"",
            Reason::Ok,
            "",
        ),
        ("a text", "name: shop.test, type: TXT", "answers[0].contains(\"v=spf1\")", Reason::Ok, ""),
        (
            "another address",
            "name: shop.test",
            "answers == [\"10.0.0.9\"]",
            Reason::Expect,
            "answers = [\"10.0.0.1\",\"10.0.0.2\"]",
        ),
        ("by TCP", "name: shop.test, tcp: true", "size(answers) == 2", Reason::Ok, ""),
        ("too long for UDP", "name: long.test", "size(answers) == 100", Reason::Ok, ""),
        (
            "no such record",
            "name: shop.test, type: SRV",
            "",
            Reason::Expect,
            "`size(answers) > 0` does not hold: answers = []",
        ),
        ("no such name", "name: gone.test", "", Reason::Status, "rcode = \"NXDOMAIN\""),
        (
            "no such name, as expected",
            "name: gone.test",
            "rcode == \"NXDOMAIN\" && size(answers) == 0",
            Reason::Ok,
            "",
        ),
        ("a broken zone", "name: broken.test", "", Reason::Status, "rcode = \"SERVFAIL\""),
        ("refused", "name: refused.test", "", Reason::Status, "rcode = \"REFUSED\""),
        (
            "silence",
            "name: silent.test",
            "",
            Reason::Timeout,
            "it waited for an answer of the name server",
        ),
    ] {
        let expect =
            if expect.is_empty() { String::new() } else { format!(", expect: ['{expect}']") };
        let timeout = if reason == Reason::Timeout { "1s" } else { "10s" };
        let keys = format!("timeout: {timeout}, dns: {{{question}, server: '{at}'}}{expect}");
        let found = told(&keys).await;
        assert_eq!(found.0, reason, "{sentence}: {}", found.1);
        assert!(found.1.contains(why), "{sentence}: {}", found.1);
    }
    let (reason, why) =
        told(&format!("timeout: 1s, dns: {{name: garbage.test, server: '{at}'}}")).await;
    assert!(
        matches!(reason, Reason::Protocol | Reason::Timeout | Reason::Dns | Reason::Status),
        "{why}"
    );
}

#[tokio::test]
async fn nobody_there_is_told() {
    let gone = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (reason, why) =
        told(&format!("timeout: 1s, dns: {{name: a.test, server: '{gone}'}}")).await;
    assert!(matches!(reason, Reason::Connect | Reason::Timeout | Reason::Dns), "{reason}: {why}");
}

#[test]
fn what_is_wrong_is_told() {
    for (keys, said) in [
        ("dns: {}", "`name` is missing"),
        ("dns: {name: a, type: X}", "not one of the words"),
        ("dns: {name: a, server: ns.test}", "no address of a name server"),
        ("dns: {name: a, tcp: true}", "no `server`"),
        ("dns: {name: 'a..b'}", "this is no name"),
    ] {
        let problems = settings(&format!("probe: {{service: shop, {keys}}}")).unwrap_err();
        assert!(problems.contains(said), "{keys}: {problems}");
    }
    let given = settings("probe: {service: shop, dns: {name: a.test, server: 10.0.0.53}}").unwrap();
    assert_eq!(given.target.to_string(), "a.test. A at 10.0.0.53:53");
}
