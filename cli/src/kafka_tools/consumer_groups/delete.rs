//! `--delete` and `--delete-offsets`.

use logway_client::{Admin, Destination, ErrorCode};
use logway_protocol::message::delete_groups::DeleteGroupsRequest;
use logway_protocol::message::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};

use super::table::{column, text};
use super::{list, targets};
use crate::kafka_tools::exception::{Exception, words};
use crate::kafka_tools::options::Parsed;
use crate::kafka_tools::output::out;

/// `--delete`.
pub(super) async fn groups(admin: &Admin, parsed: &Parsed) -> Result<(), Exception> {
    let names = list::named(admin, parsed).await?;
    let mut deleted = Vec::new();
    let mut failed = Vec::new();
    for name in &names {
        let response = admin
            .request(
                Destination::Group(name),
                |_| DeleteGroupsRequest {
                    groups_names: vec![name.as_str().into()],
                },
                |response| {
                    response
                        .results
                        .first()
                        .map_or(0, |result| result.error_code)
                },
            )
            .await;
        let result = match response {
            Ok(response) => {
                let code = response
                    .results
                    .first()
                    .map_or(-1, |result| result.error_code);
                Exception::check(code, None)
            }
            Err(error) => Err(Exception::of_call(&error, "deleteConsumerGroups")),
        };
        match result {
            Ok(()) => deleted.push(format!("'{name}'")),
            Err(exception) => failed.push(format!(
                "* Group '{name}' could not be deleted due to: {exception}"
            )),
        }
    }
    let deleted = deleted.join(", ");
    if failed.is_empty() {
        out(format!(
            "Deletion of requested consumer groups ({deleted}) was successful."
        ));
        return Ok(());
    }
    out("\nError: Deletion of some consumer groups failed:");
    failed.iter().for_each(out);
    if !deleted.is_empty() {
        out(format!(
            "\nThese consumer groups were deleted successfully: {deleted}"
        ));
    }
    Ok(())
}

/// `--delete-offsets`.
pub(super) async fn offsets(admin: &Admin, parsed: &Parsed) -> Result<(), Exception> {
    let group = parsed.get("group").unwrap_or_default();
    let wanted = targets::lenient(admin, parsed).await?;
    let topics = by_topic(&wanted);
    let response = admin
        .request(
            Destination::Group(group),
            |_| OffsetDeleteRequest {
                group_id: group.into(),
                topics: topics.clone(),
            },
            |response| response.error_code,
        )
        .await
        .map_err(|error| Exception::of_call(&error, "deleteConsumerGroupOffsets"))?;
    let top = ErrorCode::from_code(response.error_code);
    let code_of = |topic: &str, partition: Option<i32>| {
        if top != ErrorCode::None {
            return top;
        }
        let Some(partition) = partition else {
            return ErrorCode::UnknownTopicOrPartition;
        };
        let mut topics = response.topics.iter().filter(|t| t.name.as_str() == topic);
        let found = topics.find_map(|topic| {
            let mut partitions = topic.partitions.iter();
            partitions.find(|answer| answer.partition_index == partition)
        });
        found.map_or(ErrorCode::UnknownTopicOrPartition, |answer| {
            ErrorCode::from_code(answer.error_code)
        })
    };
    let asked = wanted.iter().filter(|(_, partition)| partition.is_some());
    let has_errors = asked
        .clone()
        .any(|(topic, partition)| code_of(topic, *partition) != ErrorCode::None);
    if top != ErrorCode::None {
        out(format!("\nError: {}", words(top)));
    } else if has_errors {
        out("\nError: Encountered some partition-level error, see the follow-up details.");
    } else {
        out(format!(
            "Request succeeded for deleting offsets from group {group}."
        ));
    }
    let rows: Vec<Vec<String>> = wanted
        .iter()
        .map(|(topic, partition)| {
            let status = match code_of(topic, *partition) {
                ErrorCode::None => "Successful".to_owned(),
                code => format!("Error: {}", Exception::of_code(code, None)),
            };
            let partition = partition.map_or_else(|| "-".to_owned(), |p| p.to_string());
            vec![topic.clone(), partition, format!("{status:<15}")]
        })
        .collect();
    let columns = [
        column("TOPIC", 15),
        column("PARTITION", 10),
        column("STATUS         ", 0),
    ];
    out(text(&columns, &rows));
    Ok(())
}

/// The partitions that exist, under their topics.
fn by_topic(wanted: &[(String, Option<i32>)]) -> Vec<OffsetDeleteRequestTopic> {
    let mut topics: Vec<OffsetDeleteRequestTopic> = Vec::new();
    for (topic, partition) in wanted {
        let Some(partition_index) = *partition else {
            continue;
        };
        let partition = OffsetDeleteRequestPartition { partition_index };
        match topics.iter_mut().find(|known| known.name.as_str() == topic) {
            Some(known) => known.partitions.push(partition),
            None => topics.push(OffsetDeleteRequestTopic {
                name: topic.as_str().into(),
                partitions: vec![partition],
            }),
        }
    }
    topics
}
