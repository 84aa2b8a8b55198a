//! Which partitions `--topic` means: `orders`, or `orders:0,2`.

use logway_client::{Admin, TopicPartition};

use crate::kafka_tools::exception::Exception;
use crate::kafka_tools::options::Parsed;

/// A topic with the numbers asked for; none is all.
fn parse(text: &str) -> Result<(String, Vec<i32>), Exception> {
    let Some((topic, numbers)) = text.split_once(':') else {
        return Ok((text.to_owned(), Vec::new()));
    };
    let number = |text: &str| {
        text.trim().parse().map_err(|_| {
            let class = "java.lang.NumberFormatException";
            Exception::new(class, format!("For input string: \"{text}\""))
        })
    };
    let numbers = numbers.split(',').map(number).collect::<Result<_, _>>()?;
    Ok((topic.to_owned(), numbers))
}

async fn partition_count(admin: &Admin, topic: &str) -> Result<usize, Exception> {
    let described = admin.describe_topics(&[topic]).await;
    let described = described.map_err(|error| Exception::of_call(&error, "describeTopics"))?;
    let mut count = 0;
    for (_, topic) in described {
        let topic = topic.map_err(|error| Exception::of_call(&error, "describeTopics"))?;
        count = topic.partitions.len();
    }
    Ok(count)
}

fn all(count: usize) -> impl Iterator<Item = i32> {
    0..i32::try_from(count).unwrap_or(i32::MAX)
}

/// The partitions, which must all exist.
pub(super) async fn strict(
    admin: &Admin,
    parsed: &Parsed,
) -> Result<Vec<TopicPartition>, Exception> {
    let mut found = Vec::new();
    let mut missing = Vec::new();
    for text in parsed.all("topic") {
        let (topic, numbers) = parse(text)?;
        let count = partition_count(admin, &topic).await?;
        let numbers = if numbers.is_empty() {
            all(count).collect()
        } else {
            numbers
        };
        for number in numbers {
            if usize::try_from(number).is_ok_and(|number| number < count) {
                found.push(TopicPartition::new(topic.as_str(), number));
            } else {
                missing.push(format!("{topic}-{number}"));
            }
        }
    }
    if !missing.is_empty() {
        return Err(Exception::new(
            "org.apache.kafka.common.errors.UnknownTopicOrPartitionException",
            format!("The partitions \"{}\" do not exist", missing.join(", ")),
        ));
    }
    Ok(found)
}

/// The partitions; a topic that is not there has none.
pub(super) async fn lenient(
    admin: &Admin,
    parsed: &Parsed,
) -> Result<Vec<(String, Option<i32>)>, Exception> {
    let mut found = Vec::new();
    for text in parsed.all("topic") {
        let (topic, numbers) = parse(text)?;
        if !numbers.is_empty() {
            found.extend(
                numbers
                    .into_iter()
                    .map(|number| (topic.clone(), Some(number))),
            );
            continue;
        }
        match partition_count(admin, &topic).await {
            Ok(count) => found.extend(all(count).map(|number| (topic.clone(), Some(number)))),
            Err(_) => found.push((topic, None)),
        }
    }
    Ok(found)
}
