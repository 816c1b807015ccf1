//! Batches of tasks: operations that are done when they are answered.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use prost::Message;
use prost_types::Any;

use super::super::{Engine, wkt};
use super::{named, pb, queue_name, task, task_name};
use crate::emulator::pb::google::longrunning::{Operation, operation};
use crate::emulator::pb::google::rpc;
use crate::emulator::state::tasks::{BeginOperation, CreateTask, DeleteTask, EndOperation, other_queue};
use crate::emulator::state::{Code, Refusal};
use crate::names::QueueName;

use pb::batch_create_tasks_metadata::State as Created;
use pb::batch_delete_tasks_metadata::State as Deleted;

const CREATE_TASKS_MAX: usize = 100;
const DELETE_TASKS_MAX: usize = 1000;

pub(super) async fn create(engine: &Engine, request: pb::BatchCreateTasksRequest) -> Result<Operation, Refusal> {
    let queue = queue_name(named(&request.parent, "google.cloud.tasks.v2.CloudTasks.BatchCreateTasks")?)?;
    check(&queue, &request)?;
    let name = engine.run(BeginOperation { location: queue.location().clone(), id: request.request_id }).await?;
    let start_time = Some(wkt::timestamp(engine.now()));
    let (mut tasks, mut failed) = (Vec::new(), BTreeMap::new());
    let created = join_all(request.requests.into_iter().map(async |one| {
        let view = one.response_view();
        let draft = task::from_proto(one.task.unwrap_or_default())?;
        if draft.target.is_none() {
            return Err(Refusal::invalid("Payload type must be set."));
        }
        let created = engine.run(CreateTask { queue: queue.clone(), draft }).await?;
        Ok(task::to_proto(&queue, &created, view))
    }));
    for (index, created) in (0..).zip(created.await) {
        match created {
            Ok(task) => tasks.push(task),
            Err(refusal) => drop(failed.insert(index, wkt::refusal(refusal))),
        }
    }
    let state = match (tasks.is_empty(), failed.is_empty()) {
        (true, _) => Created::Failed,
        (false, true) => Created::Succeeded,
        (false, false) => Created::PartiallySucceeded,
    };
    // Where nothing was created there is neither a response nor an error: the metadata has it all.
    let response = Some(pb::BatchCreateTasksResponse { tasks }).filter(|response| !response.tasks.is_empty());
    let result = response.map(|response| operation::Result::Response(any("BatchCreateTasksResponse", &response)));
    let end_time = Some(wkt::timestamp(engine.now()));
    let metadata = pb::BatchCreateTasksMetadata { start_time, end_time, state: state.into(), failed_requests: failed };
    ended(engine, name, any("BatchCreateTasksMetadata", &metadata), result).await
}

pub(super) async fn delete(engine: &Engine, request: &pb::BatchDeleteTasksRequest) -> Result<Operation, Refusal> {
    let queue = queue_name(named(&request.parent, "google.cloud.tasks.v2.CloudTasks.BatchDeleteTasks")?)?;
    match request.names.len() {
        0 => return Err(Refusal::invalid("Request contains an invalid argument.")),
        1..=DELETE_TASKS_MAX => {}
        count => {
            let text = format!("A maximum of {DELETE_TASKS_MAX} tasks can be handled in a batch, but {count} were requested.");
            return Err(Refusal::invalid(text));
        }
    }
    let name = engine.run(BeginOperation { location: queue.location().clone(), id: request.request_id.clone() }).await?;
    let start_time = Some(wkt::timestamp(engine.now()));
    // A name that is there twice is deleted once, and both have what became of it.
    let names: BTreeSet<&str> = request.names.iter().map(String::as_str).collect();
    let deleted = join_all(names.into_iter().map(async |name| (name, delete_one(engine, &queue, name).await)));
    let deleted: BTreeMap<&str, Result<(), Refusal>> = deleted.await.into_iter().collect();
    let mut failed = BTreeMap::new();
    for (index, name) in (0..).zip(&request.names) {
        if let Some(Err(refusal)) = deleted.get(name.as_str()) {
            failed.insert(index, wkt::refusal(refusal.clone()));
        }
    }
    let state = if failed.is_empty() { Deleted::Succeeded } else { Deleted::PartiallySucceeded };
    let result = if failed.len() == request.names.len() {
        let message = "None of the requests succeeded, refer to BatchDeleteTasksMetadata.failed_requests for individual error details";
        operation::Result::Error(rpc::Status { code: Code::Aborted as i32, message: message.to_owned(), details: Vec::new() })
    } else {
        operation::Result::Response(Any { type_url: "type.googleapis.com/google.protobuf.Empty".to_owned(), value: Vec::new() })
    };
    let end_time = Some(wkt::timestamp(engine.now()));
    let metadata = pb::BatchDeleteTasksMetadata { start_time, end_time, state: state.into(), failed_requests: failed };
    ended(engine, name, any("BatchDeleteTasksMetadata", &metadata), Some(result)).await
}

/// Checks what is wrong with a batch of creations as a whole.
fn check(queue: &QueueName, request: &pb::BatchCreateTasksRequest) -> Result<(), Refusal> {
    let count = request.requests.len();
    if count == 0 {
        return Err(Refusal::invalid("Request must contain at least one task."));
    }
    if count > CREATE_TASKS_MAX {
        let text = format!("A maximum of {CREATE_TASKS_MAX} tasks can be created in a single batch, but got {count} tasks.");
        return Err(Refusal::invalid(text));
    }
    let mut names = BTreeSet::new();
    for one in &request.requests {
        if one.parent != request.parent {
            return Err(Refusal::invalid(format!(
                "All tasks in a batch request must target the same queue. Found task for queue {} in batch request for queue {queue}.",
                one.parent
            )));
        }
        let Some(name) = one.task.as_ref().map(|task| task.name.as_str()).filter(|name| !name.is_empty()) else { continue };
        let parsed = task_name(name)?;
        if parsed.queue() != queue {
            return Err(other_queue(queue, parsed.queue()));
        }
        if !names.insert(name) {
            return Err(Refusal::invalid(format!("Duplicate task name in the batch request: {name}")));
        }
    }
    Ok(())
}

async fn delete_one(engine: &Engine, queue: &QueueName, name: &str) -> Result<(), Refusal> {
    let name = task_name(name).map_err(|refusal| Refusal::invalid(format!("Invalid task name: {}", refusal.message)))?;
    if name.queue() != queue {
        return Err(other_queue(queue, name.queue()));
    }
    engine.run(DeleteTask(name)).await
}

/// The operation of a batch that is done, kept to be told again.
async fn ended(engine: &Engine, name: String, metadata: Any, result: Option<operation::Result>) -> Result<Operation, Refusal> {
    let operation = Operation { name: name.clone(), metadata: Some(metadata), done: true, result };
    engine.run(EndOperation { name, operation: operation.encode_to_vec().into() }).await?;
    Ok(operation)
}

fn any(message: &str, value: &impl Message) -> Any {
    Any { type_url: format!("type.googleapis.com/google.cloud.tasks.v2.{message}"), value: value.encode_to_vec() }
}
