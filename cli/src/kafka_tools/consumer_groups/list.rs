//! `--list`: groups by name, state and type.

use logway_client::{Admin, Destination};
use logway_protocol::message::list_groups::{ListGroupsRequest, ListedGroup};

use crate::kafka_tools::exception::Exception;
use crate::kafka_tools::hash_order;
use crate::kafka_tools::options::Parsed;
use crate::kafka_tools::output::{End, out};

const STATES: [&str; 7] = [
    "Stable",
    "Reconciling",
    "Empty",
    "CompletingRebalance",
    "Assigning",
    "PreparingRebalance",
    "Dead",
];
const TYPES: [&str; 2] = ["Classic", "Consumer"];

/// Prints the list.
pub(super) async fn run(admin: &Admin, parsed: &Parsed) -> Result<(), End> {
    let (by_state, by_type) = (parsed.has("state"), parsed.has("type"));
    let states = wanted(parsed.get("state"), &STATES, "state")?;
    let types = wanted(parsed.get("type"), &TYPES, "types")?;
    let groups = consumer_groups(admin).await?;
    let groups = groups.iter().filter(|group| {
        let fits = |wanted: &[&str], value: &str| {
            wanted.is_empty()
                || wanted
                    .iter()
                    .any(|wanted| wanted.eq_ignore_ascii_case(value))
        };
        fits(&states, &group.group_state) && fits(&types, &group.group_type)
    });
    if !by_state && !by_type {
        groups.for_each(|group| out(group.group_id.as_str()));
        return Ok(());
    }
    let mut rows = vec![("GROUP".to_owned(), "TYPE".to_owned(), "STATE".to_owned())];
    rows.extend(groups.map(|group| {
        let state = match group.group_state.as_str() {
            "" => "Unknown".to_owned(),
            state => state.to_owned(),
        };
        (
            group.group_id.to_string(),
            type_name(&group.group_type),
            state,
        )
    }));
    let names = rows.iter().skip(1).map(|(name, ..)| name.chars().count());
    let width = names.fold(15, usize::max) + 10;
    for (name, kind, state) in rows {
        let mut line = format!("{name:<width$}");
        if by_type {
            line.push_str(&format!(" {kind:<20}"));
        }
        if by_state {
            line.push_str(&format!(" {state:<20}"));
        }
        out(line);
    }
    Ok(())
}

/// The states or types that a list names; none named is all.
fn wanted<'a>(list: Option<&str>, known: &[&'a str], what: &str) -> Result<Vec<&'a str>, End> {
    let Some(list) = list.filter(|list| !list.is_empty()) else {
        return Ok(Vec::new());
    };
    let find = |word: &str| {
        known
            .iter()
            .find(|known| known.eq_ignore_ascii_case(word.trim()))
    };
    let found: Option<Vec<_>> = list.split(',').map(|word| find(word).copied()).collect();
    found.ok_or_else(|| {
        let names = if what == "state" { "states" } else { what };
        End::Usage(format!(
            "Invalid {what} list '{list}'. Valid {names} are: {}",
            known.join(", ")
        ))
    })
}

fn type_name(on_wire: &str) -> String {
    let known = TYPES
        .iter()
        .find(|known| known.eq_ignore_ascii_case(on_wire));
    known.copied().unwrap_or("Unknown").to_owned()
}

/// The groups of all brokers that consumers use.
pub(super) async fn consumer_groups(admin: &Admin) -> Result<Vec<ListedGroup>, Exception> {
    let failed = |error| Exception::of_call(&error, "listGroups");
    let cluster = admin.describe_cluster().await.map_err(failed)?;
    let mut groups: Vec<ListedGroup> = Vec::new();
    for broker in cluster.brokers {
        let response = admin
            .request(
                Destination::Broker(broker.id),
                |_| ListGroupsRequest::default(),
                |response| response.error_code,
            )
            .await
            .map_err(failed)?;
        Exception::check(response.error_code, None)?;
        groups.extend(response.groups.into_iter().filter(|group| {
            let is_consumer = matches!(group.protocol_type.as_str(), "consumer" | "");
            let kind = group.group_type.as_str();
            is_consumer && (kind.is_empty() || type_name(kind) != "Unknown")
        }));
    }
    groups.sort_by(|a, b| a.group_id.cmp(&b.group_id));
    groups.dedup_by(|a, b| a.group_id == b.group_id);
    hash_order::grown(&mut groups, |group| &group.group_id);
    Ok(groups)
}

/// The groups that the command line means.
pub(super) async fn named(admin: &Admin, parsed: &Parsed) -> Result<Vec<String>, Exception> {
    if parsed.has("all-groups") {
        let groups = consumer_groups(admin).await?;
        return Ok(groups
            .iter()
            .map(|group| group.group_id.to_string())
            .collect());
    }
    let mut names: Vec<String> = Vec::new();
    for name in parsed.all("group") {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}
