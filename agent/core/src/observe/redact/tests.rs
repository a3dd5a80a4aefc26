//! What is taken out of texts, and what stays.
//!
//! Owns the tables of each detector and the promises that hold for every text. Numbers of cards are those that issuers
//! publish for tests.

use proptest::prelude::*;

use super::*;

fn redacted(text: &str) -> String {
    Redactor::default().redact(text).map_or_else(|| text.to_owned(), |(text, _)| text)
}

fn own(name: &str, pattern: &str) -> OwnPattern {
    OwnPattern::new(name, pattern).unwrap()
}

fn with_own(also: Vec<OwnPattern>) -> Redactor {
    Redactor::new(&RedactSettings { also, ..RedactSettings::default() })
}

fn only(detector: Detector) -> Redactor {
    let off = Detector::ALL.into_iter().filter(|d| *d != detector).collect();
    Redactor::new(&RedactSettings { off, ..RedactSettings::default() })
}

fn check(table: &[(&str, &str)]) {
    for (text, expected) in table {
        assert_eq!(redacted(text), *expected, "{text}");
        assert_eq!(redacted(expected), *expected, "a second time: {text}");
    }
}

fn stay(texts: &[&str]) {
    for text in texts {
        assert_eq!(Redactor::default().redact(text), None, "{text}");
    }
}

#[test]
fn addresses_of_mail_go() {
    check(&[
        ("bob@example.com", "[email]"),
        ("to=bob.smith+shop@mail.example.co.uk, done", "to=[email], done"),
        ("<bob@example.com>;'o'brien@example.com'", "<[email]>;'[email]'"),
        ("write to bob@example.com.", "write to [email]."),
        ("bob@example.com:8080 x@y.de-foo", "[email]:8080 [email]-foo"),
        ("GET /u?email=bob%40example.com&x=1", "GET /u?email=[email]&x=1"),
        ("mailto:bob@example.com", "mailto:[email]"),
        ("https://shop.example/u/bob@example.com?x", "https://shop.example/u/[email]?x"),
        ("https://bob%40example.com@host/", "https://[email]@host/"),
        ("jürgen@müller.de użytkownik@przykład.pl", "[email] [email]"),
        ("bob@xn--mller-kva.xn--p1ai!", "[email]!"),
        ("bob@163.com,a@b.cc", "[email],[email]"),
        ("a@b.cc@d.ee", "[email]"),
        ("a@b.cc@", "[email]@"),
        // Beside what is gone stands what was part of a word before.
        ("a@b.cc4111 1111 1111 1111", "[email][card]"),
    ]);
    stay(&[
        "a@b",
        "a@b.c",
        "@example.com",
        "bob@ example.com",
        "bob@.example",
        "react@18.2.0 lodash@4.17.21-rc.next",
        "root@10.0.0.1",
        "GET /img/icon@2x.png",
        "getty@tty1.service user@1000.slice",
        "git clone ssh://git@github.example/shop",
        "sftp://deploy@host.example.com/",
        "com.example.Foo@1b2c3d",
        "image@sha256:0123",
        "50%40 off.sale",
        "a@b..com",
    ]);
}

#[test]
fn numbers_of_cards_go() {
    check(&[
        ("4111111111111111", "[card]"),
        ("paid with 4111 1111 1111 1111.", "paid with [card]."),
        ("card=4111-1111-1111-1111&x", "card=[card]&x"),
        ("5555555555554444 2223003122003222", "[card] [card]"),
        ("378282246310005, 3782 822463 10005", "[card], [card]"),
        ("30569309025904 6011111111111117", "[card] [card]"),
        ("3530111333300000 6200000000000005", "[card] [card]"),
        ("6759649826438453 4222222222222", "[card] [card]"),
        ("user 42 4111 1111 1111 1111 12/28", "user 42 [card] 12/28"),
        ("4111111111111111 200 35", "[card] 200 35"),
        ("id_4111111111111111_", "id_[card]_"),
        ("(4111111111111111)", "([card])"),
        ("-4111111111111111", "-[card]"),
        ("+4111111111111111", "+[card]"),
        ("カード番号4111111111111111です", "カード番号[card]です"),
        ("ID42 4111 1111 1111 1111", "ID42 [card]"),
    ]);
    stay(&[
        // The check digit is another, or the issuer unknown.
        "4111111111111112",
        "order 1234567812345670",
        "9111111111111111",
        // A length that the issuer does not have.
        "41111111111111",
        "411111111111111112",
        // Part of something longer.
        "41111111111111110000000",
        "x4111111111111111",
        "4111111111111111e5",
        "0x4111111111111111",
        "0.4111111111111111",
        "4111111111111111.5",
        // Times.
        "1793491200000",
        "1793491200000000000",
        "2026-11-22 18:07:09 2026-11-22T18:07:09.512Z",
        // Telephones.
        "+49 1511 2345678",
        "+4915112345678",
        "+34 912 345 678",
        "+1 415-555-2671",
        // Accounts.
        "DE89370400440532013000",
        "DE89 3704 0044 0532 0130 00",
        "GB29 NWBK 6016 1331 9268 19",
        "FR14 2004 1010 0505 0001 3M02 606",
        "BE68 5390 0754 7034",
        // Hashes and ids.
        "d41d8cd98f00b204e9800998ecf8427e",
        "550e8400-e29b-41d4-a716-446655440000",
        "4111 1111  1111 1111",
        "4111-1111 1111-1111",
        "4111.1111.1111.1111",
        "v4.11.1111",
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18",
    ]);
}

#[test]
fn tokens_of_bearers_go() {
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1g";
    check(&[
        ("Bearer xyz", "Bearer [token]"),
        ("bearer AbC-._~+/123==, x", "bearer [token], x"),
        ("Authorization: Bearer xyz", "Authorization: Bearer [token]"),
        ("authorization: abc123", "authorization: [token]"),
        (
            "Proxy-Authorization:Basic dXNlcjpwdw==\nHost: x",
            "Proxy-Authorization:Basic [token]\nHost: x",
        ),
        ("HTTP_AUTHORIZATION=Token abc rest", "HTTP_AUTHORIZATION=Token [token] rest"),
        (
            "map[Authorization:[Basic abc] Accept:[*/*]]",
            "map[Authorization:[Basic [token]] Accept:[*/*]]",
        ),
        ("{'Authorization': 'Custom a b', 'x': 1}", "{'Authorization': '[token]', 'x': 1}"),
        ("\"HTTP_AUTHORIZATION\"=>\"Basic abc\"", "\"HTTP_AUTHORIZATION\"=>\"Basic [token]\""),
        (
            "Authorization: Digest username=\"bob\", realm=\"a b\", nc=1, response=\"0a\", x",
            "Authorization: Digest [token], x",
        ),
        (
            "Authorization: AWS4-HMAC-SHA256 Credential=AKIA/x, SignedHeaders=host;range, Signature=fe5f80",
            "Authorization: AWS4-HMAC-SHA256 [token]",
        ),
        (r#"{"authorization":"Basic abc","x":1}"#, r#"{"authorization":"Basic [token]","x":1}"#),
        (r#"{"Authorization":["a, b"],"n":2}"#, r#"{"Authorization":["[token]"],"n":2}"#),
        (r#"{"authorization":12345}"#, r#"{"authorization":"[token]"}"#),
        (&format!("got {jwt}."), "got [token]."),
        (&format!("jwt={jwt}&x"), "jwt=[token]&x"),
        ("eyJh.eyJi. eyJh.eyJi", "[token]. [token]"),
        ("eyJhbGci..48V1.5eym.XFBo", "[token]"),
        ("トークンBearer xyzです", "トークンBearer [token]です"),
        ("bearer token: abc123def4", "bearer token: [token]"),
    ]);
    stay(&[
        "Bearer",
        "the bearer of bad news",
        "bearer token is missing",
        "bearer tokens: expired",
        "WWW-Authenticate: Bearer realm=\"shop\", error=\"invalid_token\"",
        "forbearer xyz",
        "Authorization: ",
        "\"authorization\":null",
        "authorization=true",
        "authorization_code=x authorizationUrl: y",
        "authorization failed: x",
        "Authorization: Basic",
        "reauthorization: x",
        "eyJhbGciOiJIUzI1NiJ9",
        "eyJ.a.b eyJa.b.c.d",
        "www.a.b.c.d",
    ]);
}

#[test]
fn passwords_in_urls_go() {
    check(&[
        ("postgres://shop:s3cret@db:5432/shop", "postgres://shop:[password]@db:5432/shop"),
        ("redis://:secret@host", "redis://:[password]@host"),
        ("amqp://guest:guest@127.0.0.1/%2f", "amqp://guest:[password]@127.0.0.1/%2f"),
        ("(https://u:a:b@h.example.com)", "(https://u:[password]@h.example.com)"),
        ("https://u:p@ss@host/x", "https://u:[password]@host/x"),
        ("https://u:pa/ss?#@host/x", "https://u:[password]@host/x"),
        ("https://bob@example.com:secret@host", "https://[email]:[password]@host"),
        ("a://u:p@h b://u:p@h", "a://u:[password]@h b://u:[password]@h"),
        (
            "/x?password=a&passwd=b&pwd=c#d",
            "/x?password=[password]&passwd=[password]&pwd=[password]#d",
        ),
        ("?token=a%20b HTTP/1.1", "?token=[password] HTTP/1.1"),
        ("?x=1&access_token=a.b-c", "?x=1&access_token=[password]"),
        (
            "?Secret=a&API-KEY=b&apikey=c&api_key=d",
            "?Secret=[password]&API-KEY=[password]&apikey=[password]&api_key=[password]",
        ),
        ("&amp;client_secret=x;y z", "&amp;client_secret=[password] z"),
        ("#access_token=a&state=1", "#access_token=[password]&state=1"),
        ("password=a&user=b", "password=[password]&user=b"),
        (
            "?user[password]=a&user%5Bpassword%5D=b",
            "?user[password]=[password]&user%5Bpassword%5D=[password]",
        ),
        ("?token=bob@example.com", "?token=[password]"),
        ("?a=(token=?token=x", "?a=(token=?token=[password]"),
    ]);
    stay(&[
        "https://example.com:8080/path?mail=1",
        "https://user@host/",
        "https://user:@host/",
        "http://[::1]:7700/x@y",
        "http://host:7700/a@b",
        "http://foo:bar/ x@y",
        "://user:secret@host",
        "?key=user:42&tokens=3&page=4",
        "?token=&password=",
        "password=hunter2 token=5",
        "12:30:45 a:b@c",
    ]);
}

#[test]
fn escapes_are_no_way_round_and_json_stays_json() {
    for (text, expected) in [
        (r#"{"a":"bob\u0040example.com"}"#, r#"{"a":"[email]"}"#),
        (r#"{"a":"x\nbob@example.com\t"}"#, r#"{"a":"x\n[email]\t"}"#),
        (r#"{"a":"\u0062ob@example\u002ecom"}"#, r#"{"a":"[email]"}"#),
        (
            r#"{"a":"https:\/\/u:p\"@h","b":"https:\/\/u:pw@h"}"#,
            r#"{"a":"https:\/\/u:p\"@h","b":"https:\/\/u:[password]@h"}"#,
        ),
        (r#"{"n":4111111111111111,"m":[-4111111111111111]}"#, r#"{"n":"[card]","m":["[card]"]}"#),
        (r#"{"bob@example.com":{"4111 1111 1111 1111":"\\"}}"#, r#"{"[email]":{"[card]":"\\"}}"#),
        (r#"{"c":"\u0034111\u002d1111-1111-1111"}"#, r#"{"c":"[card]"}"#),
        (
            r#"{"h":"Authorization: Basic YQ==\r\nHost: h\r\n"}"#,
            r#"{"h":"Authorization: Basic [token]\r\nHost: h\r\n"}"#,
        ),
        (
            r#"{"h":"Bearer\tabc","e":"eyJh\u002eeyJi.c"}"#,
            r#"{"h":"Bearer\t[token]","e":"[token]"}"#,
        ),
        (
            r#"{"a":"😀\ud83d\ude00bob@example.com\ud800"}"#,
            r#"{"a":"😀\ud83d\ude00[email]\ud800"}"#,
        ),
        // JSON in JSON, and once more.
        (
            r#"{"body":"{\"mail\":\"x\\nbob\\u0040example.com\",\"authorization\":\"Basic abc\"}"}"#,
            r#"{"body":"{\"mail\":\"x\\n[email]\",\"authorization\":\"Basic [token]\"}"}"#,
        ),
        (
            r#"{"a":"{\"b\":\"{\\\"u\\\":\\\"https:\\\\/\\\\/u:pw@h?token=x\\\"}\"}"}"#,
            r#"{"a":"{\"b\":\"{\\\"u\\\":\\\"https:\\\\/\\\\/u:[password]@h?token=[password]\\\"}\"}"}"#,
        ),
    ] {
        assert_eq!(redacted(text), expected, "{text}");
        assert_eq!(redacted(expected), expected, "a second time: {text}");
        assert!(super::json::is_json(expected), "{expected}");
    }
}

#[test]
fn in_plain_text_a_backslash_may_be_an_escape_or_not() {
    for (text, expected) in [
        (r"DOMAIN\carl@example.com", r"DOMAIN\[email]"),
        (r"C:\new\bob@example.com", r"C:\new[email]"),
        (r"body: bob\x40example.com \q", r"body: [email] \q"),
        (r#"request {\"mail\":\"bob@example.com\"}"#, r#"request {\"mail\":\"[email]\"}"#),
        (r"mysql://u:a\tb@h", r"mysql://u:[password]@h"),
        ("4111111111111111", "[card]"),
    ] {
        assert_eq!(redacted(text), expected, "{text}");
    }
}

#[test]
fn what_is_off_stays() {
    let all = "bob@example.com 4111111111111111 Bearer abc redis://:pw@h";
    for (detector, expected) in [
        (Detector::Email, "[email] 4111111111111111 Bearer abc redis://:pw@h"),
        (Detector::Card, "bob@example.com [card] Bearer abc redis://:pw@h"),
        (Detector::Bearer, "bob@example.com 4111111111111111 Bearer [token] redis://:pw@h"),
        (
            Detector::UrlPassword,
            "bob@example.com 4111111111111111 Bearer abc redis://:[password]@h",
        ),
    ] {
        assert_eq!(only(detector).redact(all), Some((expected.to_owned(), 1)), "{detector:?}");
    }
    let off = Detector::ALL.into();
    let none = Redactor::new(&RedactSettings { off, ..RedactSettings::default() });
    assert_eq!(none.redact(all), None);
    let found = Redactor::default().redact(all).unwrap();
    assert_eq!(found, ("[email] [card] Bearer [token] redis://:[password]@h".to_owned(), 4));
}

#[test]
fn own_expressions_replace_a_match_or_its_secret() {
    let password = r#""password"\s*:\s*"(?P<secret>[^"]*)""#;
    for (pattern, text, expected) in [
        ("sid=[0-9a-f]+", "a sid=0f1e b", "a [own] b"),
        ("sid=(?P<secret>[0-9a-f]+)", "a sid=0f1e b sid=2", "a sid=[own] b sid=[own]"),
        ("a(?P<secret>b)?", "a ab", "a a[own]"),
        (password, r#"{"password": "x","n":1}"#, r#"{"password": "[own]","n":1}"#),
        (password, r#"{"b":"{\"password\":\"x\"}"}"#, r#"{"b":"{\"password\":\"[own]\"}"}"#),
        (password, r#"{"password":""}"#, r#"{"password":""}"#),
        // Quotes and brackets stay, whatever is matched.
        (r#""n":[0-9]+"#, r#"{"n":12,"m":"n"}"#, r#"{"[own]":"[own]","m":"n"}"#),
        (".+", r#"{"a":["b\n",true]}"#, r#"{"[own]":["[own]","[own]"]}"#),
        (r"[:{]+", r#"{"a":{}}"#, r#"{"a":{}}"#),
        ("com", "bob@example.com", "[email]"),
        ("to bob@[a-z.]+", "to bob@example.com", "[own]"),
        // A mark is no secret, whatever it stands behind.
        ("x .*", "Authorization: x y z", "Authorization: [own]"),
        ("x .*", "map[Authorization:[x y", "map[Authorization:[[own]"),
        ("ab", "https://u:ab@h/?token=ab", "https://u:[own]@h/?token=[own]"),
        (r"\\u00[0-9a-f]{2}", r#"{"a":"\u00e9\u0141"}"#, r#"{"a":"[own]\u0141"}"#),
    ] {
        let redactor = with_own(vec![own("own", pattern)]);
        let got = redactor.redact(text).map_or_else(|| text.to_owned(), |(text, _)| text);
        assert_eq!(got, expected, "{pattern} in {text}");
    }
    let error = |pattern| OwnPattern::new("x", pattern).unwrap_err().to_string();
    assert_eq!(error("a*"), "the expression matches the empty text");
    assert_eq!(error("(a"), "the expression cannot be read: unclosed group");
    assert!(error("a{1000}{1000}").contains("size limit"), "{}", error("a{1000}{1000}"));
}

#[test]
fn an_expression_that_matches_everywhere_takes_the_rest() {
    let redactor = with_own(vec![own("x", "a")]);
    let (text, n) = redactor.redact(&format!("{}.secret", "a.".repeat(2_000))).unwrap();
    assert_eq!(n, 1_001);
    assert!(text.ends_with("[x].[x][x]"), "{}", &text[text.len() - 20..]);
}

#[test]
fn a_cut_shows_no_half_of_a_secret() {
    let redactor = Redactor::default();
    for at in 1..40 {
        let text = format!(
            "{}Bearer 0123456789abcdef bob@example.com {}",
            "x ".repeat(at),
            "y".repeat(99)
        );
        let (head, _) = redactor.redact_head(&text, 60).unwrap_or_else(|| (text.clone(), 0));
        let head = &head[..head.floor_char_boundary(60)];
        assert!(!head.contains("0123") && !head.contains("bob@"), "{head}");
    }
    let long = format!("{} bob@example.com", "é".repeat(200_000));
    assert_eq!(redactor.redact_head(&long, 1_000), None, "what is far behind is not looked at");
    let many = "a@b.cc ".repeat(50_000);
    let (head, n) = redactor.redact_head(&many, 7_000).unwrap();
    assert!(head.len() < 8_100 && n <= 1_001);
}

/// Texts that would take minutes if anything looked at them again and again.
#[test]
fn work_is_linear_in_the_text() {
    for piece in [
        "@",
        "a@",
        "a%40",
        "@a.",
        "://",
        "a://b:",
        "a://b:@",
        "token=",
        "?token=",
        "&token=&",
        "eyJ",
        "eyJ.",
        "eyJa.b",
        "4",
        "4 ",
        "4-",
        "4111 ",
        "Authorization=",
        "authorization:x ",
        "authorization: a=b, ",
        "bearer ",
        "Bearer token ",
        "\\",
        "\\u0040",
        "\\n",
        "\\\\",
        "\"",
        "'",
        "[",
        " ",
        "DE89 3704 ",
    ] {
        let text = piece.repeat(200_000 / piece.len());
        let _ = Redactor::default().redact(&text);
        let _ = Redactor::default().redact(&format!("{{\"a\":\"{text}\"}}"));
    }
}

fn secrets() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("bob@example.com"),
        Just("bob\\u0040example.com"),
        Just("%40x.de"),
        Just("4111 1111 1111 1111"),
        Just("4111111111111111"),
        Just("Bearer abc"),
        Just("Authorization: "),
        Just("\"authorization\":\""),
        Just("Basic a=b, "),
        Just("eyJa.eyJb.c"),
        Just("https://u:p@h/"),
        Just("https:\\/\\/u:p@h"),
        Just("?token=x&"),
        Just("[token]"),
        Just("[email]"),
        Just("\\"),
        Just("\\n"),
        Just("\\\""),
        Just("\""),
        Just("'"),
        Just(" "),
        Just("@"),
        Just(":"),
        Just("="),
        Just("é"),
        Just("7"),
        Just("x"),
    ];
    proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        Just(4_111_111_111_111_111_i64.into()),
        secrets().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::vec((secrets(), inner.clone()), 0..4)
                .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
            inner.prop_map(|v| v.to_string().into()),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_redacted_without_panic(text in prop_oneof![".{0,200}", secrets()]) {
        let redactor = with_own(vec![own("x", "x."), own("q", "\"[^\"]*\""), own("s", ":(?<secret>.)")]);
        let _ = redactor.redact(&text);
        for max in [0, 1, text.len() / 2] {
            let _ = redactor.redact_head(&text, max);
        }
    }

    #[test]
    fn json_stays_json(value in json(), wide in any::<bool>()) {
        let text = serde_json::json!({"v": value, "w": [value]});
        let text = if wide { format!("{text:#}") } else { text.to_string() };
        for also in [vec![], vec![own("x", "x."), own("q", "\"[^\"]*\""), own("e", r"\\.")]] {
            if let Some((redacted, n)) = with_own(also).redact(&text) {
                prop_assert!(n > 0);
                prop_assert!(super::json::is_json(&redacted), "{text}\n{redacted}");
            }
        }
    }

    #[test]
    fn a_second_time_nothing_is_found(value in json(), text in secrets()) {
        for text in [serde_json::json!({"v": value}).to_string(), text] {
            if let Some((once, _)) = Redactor::default().redact(&text) {
                prop_assert_eq!(Redactor::default().redact(&once), None, "{}\n{}", text, once);
            }
        }
    }

    #[test]
    fn a_text_without_signs_of_a_secret_stays(text in "[a-df-zA-DF-Z \"'{}\\[\\],.\\\\/é-]{0,200}") {
        prop_assert_eq!(Redactor::default().redact(&text), None);
    }

    #[test]
    fn every_card_is_found_in_every_grouping(
        body in "4[0-9]{14}",
        joint in prop_oneof![Just(""), Just(" "), Just("-")],
        around in prop_oneof![Just(("", "")), Just(("n=", ";")), Just((" (", ") ")), Just(("\"", "\""))],
    ) {
        let check = (0..10).map(|d| format!("{body}{d}")).find(|n| luhn(n)).unwrap();
        let groups: Vec<&str> = (0..4).map(|g| &check[g * 4..g * 4 + 4]).collect();
        let (before, after) = around;
        let text = format!("{before}{}{after}", groups.join(joint));
        prop_assert_eq!(redacted(&text), format!("{before}[card]{after}"));
    }
}

/// By the definition: from the right every second digit is doubled, and digits are added up.
fn luhn(number: &str) -> bool {
    let digits = number.chars().rev().map(|c| c.to_digit(10).unwrap());
    let doubled = digits.enumerate().map(|(n, d)| if n % 2 == 1 { d * 2 } else { d });
    doubled.map(|d| d / 10 + d % 10).sum::<u32>().is_multiple_of(10)
}
