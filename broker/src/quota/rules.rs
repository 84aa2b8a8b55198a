//! Which quota holds for whom, in Kafka's order (KIP-55): the pair of user and client first, the
//! default of all clients last. Invariant: whoever a quota is set for by name shares one rate; whoever
//! falls under a default has a rate of his own. Pure; beside step 6 of the hallway.

use std::collections::HashMap;
use std::sync::Arc;

use crate::metadata::{
    CONNECTION_CREATION_RATE, CONSUMER_BYTE_RATE, CONTROLLER_MUTATION_RATE, ClientQuotas,
    EntityKind, PRODUCER_BYTE_RATE, QuotaEntity, REQUEST_PERCENTAGE,
};

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Limited {
    /// Bytes per second of produce requests.
    Produce,
    /// Bytes per second of fetched records.
    Fetch,
    /// Percent of a thread's time.
    Requests,
    /// Connections per second of one address.
    Connections,
    /// Partitions created and deleted per second.
    Mutations,
}

impl Limited {
    const ALL: [Limited; 5] = [
        Limited::Produce,
        Limited::Fetch,
        Limited::Requests,
        Limited::Connections,
        Limited::Mutations,
    ];

    fn key(self) -> &'static str {
        match self {
            Limited::Produce => PRODUCER_BYTE_RATE,
            Limited::Fetch => CONSUMER_BYTE_RATE,
            Limited::Requests => REQUEST_PERCENTAGE,
            Limited::Connections => CONNECTION_CREATION_RATE,
            Limited::Mutations => CONTROLLER_MUTATION_RATE,
        }
    }
}

/// Whose rate is measured: what is none is not told apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Measured {
    pub(crate) limited: Limited,
    pub(crate) user: Option<Arc<str>>,
    /// A client id, or an address.
    pub(crate) client: Option<Arc<str>>,
}

/// A name, the default, or nothing said about this kind.
type Part = Option<Option<String>>;

/// All quotas in the form in which they are looked up.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    limits: HashMap<(Limited, Part, Part), f64>,
    limited: Vec<Limited>,
}

impl Rules {
    /// The rules that these quotas make.
    pub(crate) fn new(quotas: &ClientQuotas) -> Rules {
        let mut rules = Rules::default();
        for (entity, values) in quotas {
            for limited in Limited::ALL {
                let Some(limit) = values.get(limited.key()) else {
                    continue;
                };
                let (user, client) = parts(entity, limited);
                rules.limits.insert((limited, user, client), *limit);
                if !rules.limited.contains(&limited) {
                    rules.limited.push(limited);
                }
            }
        }
        rules
    }

    /// Whether anybody is limited in this.
    pub(crate) fn limits(&self, limited: Limited) -> bool {
        self.limited.contains(&limited)
    }

    /// The limit of a user's client and whose rate counts; none if there is no limit.
    pub(crate) fn of_client(
        &self,
        limited: Limited,
        user: &str,
        client: &str,
    ) -> Option<(f64, Measured)> {
        let named = |name: &str| Some(Some(name.to_owned()));
        let default = || Some(None);
        let order: [(Part, Part); 8] = [
            (named(user), named(client)),
            (named(user), default()),
            (named(user), None),
            (default(), named(client)),
            (default(), default()),
            (default(), None),
            (None, named(client)),
            (None, default()),
        ];
        order.into_iter().find_map(|(by_user, by_client)| {
            let measured = Measured {
                limited,
                user: by_user.is_some().then(|| Arc::from(user)),
                client: by_client.is_some().then(|| Arc::from(client)),
            };
            let limit = self.limits.get(&(limited, by_user, by_client))?;
            Some((*limit, measured))
        })
    }

    /// The limit of an address.
    pub(crate) fn of_address(&self, address: &str) -> Option<(f64, Measured)> {
        let of = |name: Part| self.limits.get(&(Limited::Connections, None, name));
        let limit = of(Some(Some(address.to_owned()))).or_else(|| of(Some(None)))?;
        let measured = Measured {
            limited: Limited::Connections,
            user: None,
            client: Some(Arc::from(address)),
        };
        Some((*limit, measured))
    }
}

fn parts(entity: &QuotaEntity, limited: Limited) -> (Part, Part) {
    let part = |kind| entity.0.get(&kind).cloned();
    match limited {
        Limited::Connections => (None, part(EntityKind::Ip)),
        _ => (part(EntityKind::User), part(EntityKind::ClientId)),
    }
}
