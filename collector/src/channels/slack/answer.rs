//! What Slack's Web API answers: mostly `200`, and the truth in the body.
//!
//! Owns the table of its words. Never decides when to try again.

use serde_json::Value;

use crate::channels::Cause;
use crate::channels::http::{Answer, Ending};

/// Where a message stands; empty if the answer did not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) channel: String,
    pub(super) ts: String,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It is done.
    Taken(Place),
    /// It is not done.
    Failed {
        cause: Cause,
        /// Slack's word for it; "" if it gave none.
        word: String,
    },
}

impl Said {
    /// By status and by word.
    pub(super) fn of(answer: &Answer) -> Self {
        let text = answer.text();
        let json: Value = serde_json::from_str(&text).unwrap_or_default();
        let word = json["error"].as_str().unwrap_or_default().to_owned();
        let cause = match answer.status {
            200..=299 if answer.ending == Ending::BrokenOff => Cause::Unreachable,
            200..=299 if json["ok"] == true => {
                let part = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
                return Self::Taken(Place { channel: part("channel"), ts: part("ts") });
            }
            200..=299 if json["ok"] != false || word.is_empty() => Cause::BadAnswer,
            200..=299 => cause_of(&word),
            // A server in trouble may still name a reason, but its status says what to do.
            status => match Cause::of_status(status) {
                Cause::Refused if !word.is_empty() => cause_of(&word),
                cause => cause,
            },
        };
        Self::Failed { cause, word }
    }
}

/// What a word means for the request.
fn cause_of(word: &str) -> Cause {
    match word {
        "ratelimited" | "rate_limited" | "message_limit_exceeded" => Cause::RateLimited,
        "internal_error"
        | "fatal_error"
        | "request_timeout"
        | "service_unavailable"
        | "update_failed"
        | "team_added_to_org"
        | "org_login_required"
        | "external_channel_migrating" => Cause::ServerError,
        _ => Cause::Refused,
    }
}

/// Whether a refusal is about the message that is to be changed or answered, so that another one may be posted.
pub(super) fn is_gone(word: &str) -> bool {
    matches!(
        word,
        "message_not_found"
            | "cant_update_message"
            | "edit_window_closed"
            | "is_inactive"
            | "thread_not_found"
            | "cannot_reply_to_message"
            | "restricted_action_thread_locked"
            | "channel_not_found"
            | "not_in_channel"
            | "is_archived"
    )
}

/// What to do about it, for those who set it up.
pub(super) fn advice(word: &str) -> &'static str {
    match word {
        "not_in_channel" => "invite the app to the channel: /invite @app",
        "channel_not_found" => "is the name right, and is the app in the channel if it is private?",
        "is_archived" => "the channel is archived",
        "missing_scope" => {
            "the app needs the scope chat:write, chat:write.customize for a name or icon of its own"
        }
        "not_allowed_token_type" => "the token must be a bot's, which begins with xoxb-",
        "invalid_auth" | "not_authed" => "is the token right?",
        "token_revoked" | "token_expired" | "account_inactive" => {
            "the app was removed or its token withdrawn: install it again"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_mean_what_slack_documents() {
        use Cause::{BadAnswer, RateLimited, Refused, ServerError, TimedOut};
        let error = |word: &str| format!(r#"{{"ok":false,"error":"{word}"}}"#);
        for (status, body, want) in [
            (200, error("internal_error"), ServerError),
            (200, error("fatal_error"), ServerError),
            (200, error("service_unavailable"), ServerError),
            (200, error("request_timeout"), ServerError),
            (200, error("update_failed"), ServerError),
            (200, error("ratelimited"), RateLimited),
            (200, error("rate_limited"), RateLimited),
            (200, error("message_limit_exceeded"), RateLimited),
            (200, error("invalid_auth"), Refused),
            (200, error("not_authed"), Refused),
            (200, error("account_inactive"), Refused),
            (200, error("token_revoked"), Refused),
            (200, error("channel_not_found"), Refused),
            (200, error("not_in_channel"), Refused),
            (200, error("is_archived"), Refused),
            (200, error("missing_scope"), Refused),
            (200, error("invalid_blocks"), Refused),
            (200, error("something_new"), Refused),
            (200, error("message_not_found"), Refused),
            (200, r#"{"ok":false}"#.into(), BadAnswer),
            (200, "ok".into(), BadAnswer),
            (200, "".into(), BadAnswer),
            (200, "{".into(), BadAnswer),
            (200, "null".into(), BadAnswer),
            (200, r#"[{"ok":true}]"#.into(), BadAnswer),
            (200, r#"{"ok":"true"}"#.into(), BadAnswer),
            (200, "<html>log in</html>".into(), BadAnswer),
            (429, error("ratelimited"), RateLimited),
            (429, "".into(), RateLimited),
            (408, "".into(), TimedOut),
            (500, error("invalid_auth"), ServerError),
            (503, "busy".into(), ServerError),
            (403, error("rate_limited"), RateLimited),
            (403, error("invalid_auth"), Refused),
            (404, "".into(), Refused),
            (302, "".into(), Refused),
        ] {
            let answer = Answer::for_test(status, &body, Ending::Whole);
            match Said::of(&answer) {
                Said::Failed { cause, .. } => assert_eq!(cause, want, "{status} {body}"),
                taken => panic!("{status} {body}: {taken:?}"),
            }
        }
    }

    #[test]
    fn what_was_posted_has_a_place() {
        let body = r#"{"ok":true,"channel":"C1","ts":"1795370839.000100","message":{"text":"x"}}"#;
        let place = Place { channel: "C1".into(), ts: "1795370839.000100".into() };
        let whole = Answer::for_test(200, body, Ending::Whole);
        assert_eq!(Said::of(&whole), Said::Taken(place));
        let bare = Answer::for_test(200, r#"{"ok":true}"#, Ending::Whole);
        assert_eq!(Said::of(&bare), Said::Taken(Place::default()));
        let broken = Answer::for_test(200, &body[..20], Ending::BrokenOff);
        let unreachable = Said::Failed { cause: Cause::Unreachable, word: String::new() };
        assert_eq!(Said::of(&broken), unreachable);
    }
}
