//! `logway cluster` and `logway transactions`: looks at a cluster as a whole.

use logway_client::{Admin, AdminError, Destination, ErrorCode};
use logway_protocol::message::describe_transactions::{
    DescribeTransactionsRequest, DescribeTransactionsResponse,
};
use logway_protocol::message::list_transactions::ListTransactionsRequest;
use serde_json::Value;

use crate::args::{Cluster, ClusterInfo, Output, TransactionAction, Transactions};
use crate::failure::Failure;
use crate::table::Table;

/// `logway cluster`: the brokers, and which is the controller.
pub(crate) async fn describe(args: ClusterInfo) -> Result<(), Failure> {
    let admin = args.cluster.admin()?;
    let cluster = admin.describe_cluster().await;
    let cluster = cluster.map_err(|e| Failure::failed(e, "describe the cluster"))?;
    let mut table = Table::new(&["BROKER", "HOST", "PORT", "RACK", "CONTROLLER", "CLUSTER"]);
    for broker in cluster.brokers {
        table.row([
            broker.id.into(),
            broker.host.into(),
            broker.port.into(),
            broker.rack.map_or(Value::Null, Value::String),
            (cluster.controller == Some(broker.id)).into(),
            cluster
                .cluster_id
                .clone()
                .map_or(Value::Null, Value::String),
        ]);
    }
    table.print(args.output)
}

/// `logway transactions`.
pub(crate) async fn transactions(args: Transactions) -> Result<(), Failure> {
    match args.action {
        TransactionAction::List { cluster, output } => list(&cluster, output).await,
        TransactionAction::Describe {
            id,
            cluster,
            output,
        } => describe_transaction(&id, &cluster, output).await,
    }
}

async fn list(cluster: &Cluster, output: Output) -> Result<(), Failure> {
    let admin = cluster.admin()?;
    let failed = |e| Failure::failed(e, "list transactions");
    let described = admin.describe_cluster().await.map_err(failed)?;
    let mut table = Table::new(&["ID", "STATE", "PRODUCER-ID", "COORDINATOR"]);
    for broker in described.brokers {
        let response = admin
            .request(
                Destination::Broker(broker.id),
                |_| ListTransactionsRequest::default(),
                |response| response.error_code,
            )
            .await
            .map_err(failed)?;
        for state in response.transaction_states {
            table.row([
                state.transactional_id.to_string().into(),
                state.transaction_state.to_string().into(),
                state.producer_id.into(),
                broker.id.into(),
            ]);
        }
    }
    table.print(output)
}

/// What the coordinator of a transactional id says of it.
///
/// # Errors
/// No coordinator answers; what it answers may still be an error of the id.
pub(crate) async fn ask_of_transaction(
    admin: &Admin,
    id: &str,
) -> Result<DescribeTransactionsResponse, AdminError> {
    let first_code = |response: &DescribeTransactionsResponse| {
        let first = response.transaction_states.first();
        first.map_or(0, |state| state.error_code)
    };
    admin
        .request(
            Destination::Transaction(id),
            |_| DescribeTransactionsRequest {
                transactional_ids: vec![id.into()],
            },
            first_code,
        )
        .await
}

async fn describe_transaction(id: &str, cluster: &Cluster, output: Output) -> Result<(), Failure> {
    let doing = format!("describe transaction `{id}`");
    let response = ask_of_transaction(&cluster.admin()?, id)
        .await
        .map_err(|e| Failure::failed(e, &doing))?;
    let mut table = Table::new(&[
        "ID",
        "STATE",
        "PRODUCER-ID",
        "EPOCH",
        "TIMEOUT-MS",
        "BEGAN",
        "PARTITIONS",
    ]);
    for state in response.transaction_states {
        ErrorCode::check(state.error_code)
            .map_err(|code| Failure::failed(anyhow::anyhow!("{code}"), &doing))?;
        let partitions = state.topics.iter().flat_map(|topic| {
            let name = |partition: &i32| format!("{}-{partition}", topic.topic).into();
            topic.partitions.iter().map(name)
        });
        let began = Some(state.transaction_start_time_ms).filter(|ms| *ms >= 0);
        table.row([
            id.into(),
            state.transaction_state.to_string().into(),
            state.producer_id.into(),
            state.producer_epoch.into(),
            state.transaction_timeout_ms.into(),
            began.map_or(Value::Null, Into::into),
            Value::Array(partitions.collect()),
        ]);
    }
    table.print(output)
}
