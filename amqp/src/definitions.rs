//! The topology in the form that `rabbitmqctl import_definitions` and the management page take.
//!
//! Owns that form and nothing of what is in it.

use lapin::ExchangeKind;
use serde_json::{Value, json};

use crate::check::Side;
use crate::topology::{Argument, Item, items};
use crate::{Address, BrokerSettings};

/// Everything that has to lie on the broker, and the permissions of the user in the first address.
pub fn definitions(settings: &BrokerSettings, side: Side) -> Value {
    let names = &settings.names;
    let vhost = settings.addresses.first().map_or("/", Address::vhost);
    let user = settings.addresses.first().map_or("guest", Address::user);
    let (mut exchanges, mut queues, mut bindings) = (Vec::new(), Vec::new(), Vec::new());
    for item in items(names) {
        match item {
            Item::Exchange { name, kind } => exchanges.push(json!({
                "name": name, "vhost": vhost, "type": word(&kind), "durable": true,
                "auto_delete": false, "internal": false, "arguments": {},
            })),
            Item::Queue { name, arguments } => {
                let arguments: serde_json::Map<_, _> = arguments
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), of(value)))
                    .collect();
                queues.push(json!({
                    "name": name, "vhost": vhost, "durable": true, "auto_delete": false,
                    "arguments": arguments,
                }));
            }
            Item::Binding { queue, exchange, key } => bindings.push(json!({
                "source": exchange, "vhost": vhost, "destination": queue,
                "destination_type": "queue", "routing_key": key, "arguments": {},
            })),
        }
    }
    let (configure, write) = match side {
        Side::Collector => (names.collector_permission(), names.collector_write()),
        Side::Agent => (names.agent_configure(), names.agent_write()),
    };
    json!({
        "vhosts": [{ "name": vhost }],
        "permissions": [{
            "user": user, "vhost": vhost, "configure": configure, "write": write, "read": configure,
        }],
        "exchanges": exchanges, "queues": queues, "bindings": bindings,
    })
}

fn word(kind: &ExchangeKind) -> &str {
    match kind {
        ExchangeKind::Fanout => "fanout",
        _ => "direct",
    }
}

fn of(argument: Argument) -> Value {
    match argument {
        Argument::Text(text) => text.into(),
        Argument::Number(number) => number.into(),
        Argument::Flag(flag) => flag.into(),
    }
}

#[cfg(test)]
mod tests {
    use watchkeeper_config::Secret;

    use super::*;
    use crate::Names;

    #[test]
    fn definitions_hold_everything_and_no_password() {
        let settings = BrokerSettings {
            addresses: vec![Address::parse(&Secret::new("amqp://ann:hunter2@mq/shop")).unwrap()],
            tls: Default::default(),
            names: Names::default(),
        };
        let all = definitions(&settings, Side::Agent);
        assert_eq!(all["queues"].as_array().unwrap().len(), 3);
        assert_eq!(all["queues"][1]["arguments"]["x-delivery-limit"], 20);
        assert_eq!(all["permissions"][0]["write"], "^watchkeeper$");
        assert_eq!(all["bindings"][1]["vhost"], "shop");
        assert!(!all.to_string().contains("hunter2"));
    }
}
