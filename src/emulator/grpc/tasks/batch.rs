//! Batches of tasks: operations that are done when they are answered.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use prost::Message;
use prost_types::Any;

use super::super::{Engine, wkt};
use super::{pb, queue_name, task, task_name};
use crate::emulator::pb::google::longrunning::{Operation, operation};
use crate::emulator::pb::google::rpc;
use crate::emulator::state::tasks::{CreateTask, DeleteTask};
use crate::emulator::state::{Code, Refusal};
use crate::names::QueueName;

use pb::batch_create_tasks_metadata::State as Created;
use pb::batch_delete_tasks_metadata::State as Deleted;

const CREATE_TASKS_MAX: usize = 100;
const DELETE_TASKS_MAX: usize = 1000;

pub(super) async fn create(engine: &Engine, request: pb::BatchCreateTasksRequest) -> Result<Operation, Refusal> {
    let queue = queue_name(&request.parent)?;
    check_count(request.requests.len(), CREATE_TASKS_MAX)?;
    if request.requests.iter().any(|one| !one.parent.is_empty() && one.parent != request.parent) {
        return Err(Refusal::invalid("The parent of each request must be the same as the parent of the batch."));
    }
    let start_time = Some(wkt::timestamp(engine.now()));
    let (mut tasks, mut failed) = (Vec::new(), BTreeMap::new());
    let count = request.requests.len();
    let created = join_all(request.requests.into_iter().map(async |one| {
        let view = one.response_view();
        let draft = task::from_proto(one.task.unwrap_or_default())?;
        let created = engine.run(CreateTask { queue: queue.clone(), draft }).await?;
        Ok(task::to_proto(&queue, &created, view))
    }));
    for (index, created) in (0..).zip(created.await) {
        match created {
            Ok(task) => tasks.push(task),
            Err(refusal) => drop(failed.insert(index, wkt::refusal(refusal))),
        }
    }
    let state = if failed.is_empty() { Created::Succeeded } else { Created::PartiallySucceeded };
    let result =
        result(failed.len() == count, "BatchCreateTasksMetadata", any("BatchCreateTasksResponse", &pb::BatchCreateTasksResponse { tasks }));
    let end_time = Some(wkt::timestamp(engine.now()));
    let metadata = pb::BatchCreateTasksMetadata { start_time, end_time, state: state.into(), failed_requests: failed };
    Ok(operation(&queue, &request.request_id, any("BatchCreateTasksMetadata", &metadata), result))
}

pub(super) async fn delete(engine: &Engine, request: &pb::BatchDeleteTasksRequest) -> Result<Operation, Refusal> {
    let queue = queue_name(&request.parent)?;
    check_count(request.names.len(), DELETE_TASKS_MAX)?;
    let start_time = Some(wkt::timestamp(engine.now()));
    let mut failed = BTreeMap::new();
    let deleted = join_all(request.names.iter().map(async |name| {
        let name = task_name(name)?;
        if *name.queue() != queue {
            return Err(Refusal::invalid("The task is not of the queue of the batch."));
        }
        engine.run(DeleteTask(name)).await
    }));
    for (index, deleted) in (0..).zip(deleted.await) {
        if let Err(refusal) = deleted {
            failed.insert(index, wkt::refusal(refusal));
        }
    }
    let state = if failed.is_empty() { Deleted::Succeeded } else { Deleted::PartiallySucceeded };
    let empty = Any { type_url: "type.googleapis.com/google.protobuf.Empty".to_owned(), value: Vec::new() };
    let result = result(failed.len() == request.names.len(), "BatchDeleteTasksMetadata", empty);
    let end_time = Some(wkt::timestamp(engine.now()));
    let metadata = pb::BatchDeleteTasksMetadata { start_time, end_time, state: state.into(), failed_requests: failed };
    Ok(operation(&queue, &request.request_id, any("BatchDeleteTasksMetadata", &metadata), result))
}

fn check_count(count: usize, max: usize) -> Result<(), Refusal> {
    if (1..=max).contains(&count) {
        Ok(())
    } else {
        Err(Refusal::invalid(format!("A batch has between 1 and {max} tasks; this one has {count}.")))
    }
}

fn result(all_failed: bool, metadata: &str, response: Any) -> operation::Result {
    if !all_failed {
        return operation::Result::Response(response);
    }
    let message = format!("None of the requests succeeded, refer to {metadata}.failed_requests for individual error details");
    operation::Result::Error(rpc::Status { code: Code::Aborted as i32, message, details: Vec::new() })
}

fn operation(queue: &QueueName, id: &str, metadata: Any, result: operation::Result) -> Operation {
    let id = if id.is_empty() { "batch" } else { id };
    Operation { name: format!("{}/operations/{id}", queue.location()), metadata: Some(metadata), done: true, result: Some(result) }
}

fn any(message: &str, value: &impl Message) -> Any {
    Any { type_url: format!("type.googleapis.com/google.cloud.tasks.v2.{message}"), value: value.encode_to_vec() }
}
