//! Probing by TCP and TLS: dialogs, going over to TLS, and servers that do not keep to it.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use watchkeeper_agent_core::probe::Reason;

use super::scene::{acceptor, attempt, serve, testdata, told};

#[tokio::test]
async fn a_dialog_is_spoken_and_what_does_not_come_is_told() {
    let redis = serve(|mut stream| async move {
        let (reader, mut writer) = stream.split();
        let mut lines = BufReader::new(reader).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let answer = if line == "PING" { "+PONG\r\n" } else { "-ERR unknown\r\n" };
            let _ = writer.write_all(answer.as_bytes()).await;
            if line == "QUIT" {
                break;
            }
        }
    })
    .await;
    for (sentence, dialog, reason, why) in [
        ("just a connection", "[]", Reason::Ok, "as expected"),
        ("asked and answered", r#"[{send: "PING\r\n"}, {expect: '^\+PONG$'}]"#, Reason::Ok, ""),
        (
            "two turns",
            r#"[{send: "PING\r\n"}, {expect: PONG}, {send: "X\r\n"}, {expect: ERR}]"#,
            Reason::Ok,
            "",
        ),
        (
            "another answer, and the end",
            r#"[{send: "QUIT\r\n"}, {expect: PONG}]"#,
            Reason::Expect,
            "nothing came that matches `PONG`; the last was \"-ERR unknown\"",
        ),
    ] {
        let found = told(&format!("tcp: {{host: '{redis}', dialog: {dialog}}}")).await;
        assert_eq!(found.0, reason, "{sentence}: {}", found.1);
        assert!(found.1.contains(why), "{sentence}: {}", found.1);
    }
    let keys = format!(
        r#"tcp: {{host: '{redis}', dialog: [{{send: "PING\r\n"}}, {{expect: OK}}]}}, timeout: 200ms"#
    );
    let (reason, why) = told(&keys).await;
    assert_eq!(reason, Reason::Timeout);
    assert!(why.ends_with("it waited for what the dialog expects"), "{why}");
}

#[tokio::test]
async fn a_first_line_is_read_for_conditions_and_one_without_end_is_not() {
    let ssh = serve(|mut stream| async move {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let keys = format!("tcp: {{host: '{ssh}'}}, expect: ['output.startsWith(\"SSH-2.0\")']");
    assert_eq!(told(&keys).await.0, Reason::Ok);
    let endless =
        serve(|mut stream| async move { while stream.write_all(&[b'x'; 4096]).await.is_ok() {} })
            .await;
    let keys = format!("tcp: {{host: '{endless}', dialog: [{{expect: y}}]}}");
    let (reason, why) = told(&keys).await;
    assert_eq!(reason, Reason::Protocol, "{why}");
}

#[tokio::test]
async fn a_mail_server_goes_over_to_tls_and_what_it_said_before_is_not_believed() {
    for (sentence, consent, reason) in [
        ("it agrees", "220 go ahead\r\n", Reason::Ok),
        ("it does not", "502 what?\r\n", Reason::Tls),
        ("more than the consent", "220 go ahead\r\n250 injected\r\n", Reason::Tls),
    ] {
        let acceptor = acceptor("server", &[]);
        let mail = serve(move |mut stream| {
            let acceptor = acceptor.clone();
            async move {
                let (reader, mut writer) = stream.split();
                let mut lines = BufReader::new(reader).lines();
                let _ = writer.write_all(b"220-wait\r\n220 mail.test ESMTP\r\n").await;
                let _ = lines.next_line().await;
                let _ = writer.write_all(b"250-mail.test\r\n250 STARTTLS\r\n").await;
                let _ = lines.next_line().await;
                let _ = writer.write_all(consent.as_bytes()).await;
                if !consent.starts_with("220") {
                    // It waits for another command.
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                    return;
                }
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        })
        .await;
        let keys = format!(
            "tls: {{host: '{mail}', starttls: smtp, tls: {{ca: {}}}}}, expect: ['certificate.days > 14.0']",
            testdata("ca.pem").display()
        );
        let found = attempt(&keys).await;
        assert_eq!(found.judged.reason, reason, "{sentence}: {}", found.judged.why);
        assert_eq!(found.expires_in.is_some(), reason == Reason::Ok, "{sentence}");
    }
}

#[tokio::test]
async fn a_certificate_is_probed_by_itself() {
    let served = |name: &'static str| async move {
        let acceptor = acceptor(name, &[]);
        serve(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        })
        .await
    };
    let ca = format!("ca: {}", testdata("ca.pem").display());
    let own = format!("ca: {}", testdata("authority.pem").display());
    for (name, tls, expect, reason, why) in [
        ("server", ca.as_str(), "certificate.expires_in > duration('14d')", Reason::Ok, ""),
        ("server", "verify: false", "certificate.issuer == 'CN=Probe Test CA'", Reason::Ok, ""),
        ("expired", &ca, "tls != ''", Reason::Certificate, "has expired"),
        (
            "expired",
            "verify: false",
            "tls != ''",
            Reason::Certificate,
            "`certificate.expires_in > duration(\"0s\")` does not hold",
        ),
        ("other", &ca, "tls != ''", Reason::Certificate, "is for another name"),
        ("authority", &own, "tls != ''", Reason::Certificate, "that of an authority (CA:TRUE)"),
    ] {
        let at = served(name).await;
        let keys = format!("tls: {{host: '{at}', tls: {{{tls}}}}}, expect: [\"{expect}\"]");
        let found = told(&keys).await;
        assert_eq!(found.0, reason, "{name} {tls}: {}", found.1);
        assert!(found.1.contains(why), "{name} {tls}: {}", found.1);
    }
}

#[tokio::test]
async fn a_connection_that_is_never_taken_is_given_up_in_time() {
    // A network for documentation (RFC 5737): nobody is there, and often nobody says so.
    let found = attempt("tcp: {host: '192.0.2.1:9'}, timeout: 100ms").await;
    assert!(found.took < Duration::from_secs(2));
    assert_ne!(found.judged.reason, Reason::Ok);
}
