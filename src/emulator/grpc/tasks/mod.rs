//! Cloud Tasks v2, and of v2beta3 what reads a queue's `stats`.

mod batch;
mod beta;
mod cmek;
mod operations;
mod queue;
mod task;

use tonic::{Request, Response, Status};

use super::{Engine, MESSAGE_BYTES_MAX, page};
use crate::emulator::pb::google::cloud::tasks::v2 as pb;
use crate::emulator::pb::google::cloud::tasks::v2::cloud_tasks_server::{CloudTasks, CloudTasksServer};
use crate::emulator::pb::google::cloud::tasks::v2beta3::cloud_tasks_server::CloudTasksServer as BetaServer;
use crate::emulator::pb::google::iam::v1 as iam;
use crate::emulator::pb::google::longrunning::Operation;
use crate::emulator::pb::google::longrunning::operations_server::OperationsServer;
use crate::emulator::state::tasks::{
    BufferTask, CreateQueue, DeleteQueue, DeleteTask, PauseQueue, PurgeQueue, Queue, ResumeQueue, RunTask, SetQueuePolicy, UpdateQueue,
    check_permissions, queue_name, task_name,
};
use crate::emulator::state::{Command, Info, Refusal};
use crate::names::{Location, QueueName};

const PAGE_QUEUES_MAX: usize = 9800;
const PAGE_TASKS_MAX: usize = 1000;

pub(crate) fn service(engine: Engine) -> CloudTasksServer<Service> {
    CloudTasksServer::new(Service { engine }).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

pub(crate) fn beta_service(engine: Engine) -> BetaServer<beta::Service> {
    BetaServer::new(beta::Service { engine })
}

pub(crate) fn operations_service(engine: Engine) -> OperationsServer<operations::Service> {
    OperationsServer::new(operations::Service { engine })
}

/// The service on its engine.
#[derive(Debug)]
pub(crate) struct Service {
    engine: Engine,
}

impl Service {
    fn queue(&self, name: &QueueName) -> Result<pb::Queue, Refusal> {
        self.engine.read(|state, _| state.tasks.queue(name).map(queue::to_proto))
    }

    /// Runs a command about a queue and answers with the queue.
    async fn changed<C: Command<Reply = ()>>(
        &self,
        name: &str,
        method: &str,
        command: impl FnOnce(QueueName) -> C,
    ) -> Result<Response<pb::Queue>, Status> {
        let name = queue_of(name, method)?;
        self.engine.run(command(name.clone())).await?;
        Ok(Response::new(self.queue(&name)?))
    }
}

/// The queue that a request of a method is about.
fn queue_of(name: &str, method: &str) -> Result<QueueName, Refusal> {
    if name.is_empty() { Err(cmek::no_resource(method)) } else { queue_name(name) }
}

fn location(parent: &str) -> Result<Location, Refusal> {
    let text = "Location name must be formatted: \"projects/<PROJECT_ID>/locations/<LOCATION_ID>\"";
    parent.parse().map_err(|_| Refusal::invalid(text))
}

/// Refuses, as Google's front end does, a request that leads to no project because its name is empty.
fn named<'name>(name: &'name str, method: &str) -> Result<&'name str, Refusal> {
    if !name.is_empty() {
        return Ok(name);
    }
    let metadata = [("method", method), ("service", "cloudtasks.googleapis.com")];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let info = Info { reason: "RESOURCE_PROJECT_INVALID", domain: "googleapis.com", metadata };
    Err(Refusal::invalid("Invalid resource field value in the request.").with_info(info))
}

#[tonic::async_trait]
impl CloudTasks for Service {
    async fn list_queues(&self, request: Request<pb::ListQueuesRequest>) -> Result<Response<pb::ListQueuesResponse>, Status> {
        let request = request.into_inner();
        if request.parent.is_empty() {
            return Err(cmek::no_resource("ListQueues").into());
        }
        let location = location(&request.parent)?;
        if request.page_size < 0 {
            return Err(Refusal::invalid("ListQueuesRequest.pageSize cannot be negative.").into());
        }
        let wanted = page::wanted(request.page_size, &request.page_token, PAGE_QUEUES_MAX);
        let wanted = wanted.map_err(|_| Refusal::invalid("Invalid page_token"))?;
        let response = self.engine.read(|state, _| {
            let page = state.tasks.list_queues(&location, &request.filter, wanted.from.as_deref(), wanted.limit)?;
            let queues = page.items.into_iter().map(queue::to_proto).collect();
            Ok::<_, Refusal>(pb::ListQueuesResponse { queues, next_page_token: page::token(page.next.as_deref()) })
        })?;
        Ok(Response::new(response))
    }

    async fn get_queue(&self, request: Request<pb::GetQueueRequest>) -> Result<Response<pb::Queue>, Status> {
        Ok(Response::new(self.queue(&queue_of(&request.into_inner().name, "GetQueue")?)?))
    }

    async fn create_queue(&self, request: Request<pb::CreateQueueRequest>) -> Result<Response<pb::Queue>, Status> {
        let request = request.into_inner();
        let location = location(&request.parent)?;
        let proto = request.queue.unwrap_or_default();
        let name = queue_name(&proto.name)?;
        if *name.location() != location {
            return Err(Refusal::invalid(format!("{name} must begin with {location}.")).into());
        }
        self.engine.run(CreateQueue { name: name.clone(), draft: queue::from_proto(proto)? }).await?;
        Ok(Response::new(self.queue(&name)?))
    }

    async fn update_queue(&self, request: Request<pb::UpdateQueueRequest>) -> Result<Response<pb::Queue>, Status> {
        let request = request.into_inner();
        let proto = request.queue.unwrap_or_default();
        let name = queue_of(&proto.name, "UpdateQueue")?;
        let mask = match request.update_mask.map(|mask| mask.paths) {
            // A mask of nothing changes nothing, as does one of what cannot be changed; only without a mask all is changed.
            Some(paths) if paths.is_empty() => vec!["name".to_owned()],
            paths => paths.unwrap_or_default(),
        };
        self.engine.run(UpdateQueue { name: name.clone(), draft: queue::from_proto(proto)?, mask }).await?;
        Ok(Response::new(self.queue(&name)?))
    }

    async fn delete_queue(&self, request: Request<pb::DeleteQueueRequest>) -> Result<Response<()>, Status> {
        self.engine.run(DeleteQueue(queue_of(&request.into_inner().name, "DeleteQueue")?)).await?;
        Ok(Response::new(()))
    }

    async fn purge_queue(&self, request: Request<pb::PurgeQueueRequest>) -> Result<Response<pb::Queue>, Status> {
        self.changed(&request.into_inner().name, "PurgeQueue", PurgeQueue).await
    }

    async fn pause_queue(&self, request: Request<pb::PauseQueueRequest>) -> Result<Response<pb::Queue>, Status> {
        self.changed(&request.into_inner().name, "PauseQueue", PauseQueue).await
    }

    async fn resume_queue(&self, request: Request<pb::ResumeQueueRequest>) -> Result<Response<pb::Queue>, Status> {
        self.changed(&request.into_inner().name, "ResumeQueue", ResumeQueue).await
    }

    async fn get_iam_policy(&self, request: Request<iam::GetIamPolicyRequest>) -> Result<Response<iam::Policy>, Status> {
        let name = queue_of(&request.into_inner().resource, "GetIamPolicy")?;
        let policy = self.engine.read(|state, _| state.tasks.queue(&name).map(Queue::policy))?;
        Ok(Response::new(policy))
    }

    async fn set_iam_policy(&self, request: Request<iam::SetIamPolicyRequest>) -> Result<Response<iam::Policy>, Status> {
        let request = request.into_inner();
        let queue = queue_of(&request.resource, "SetIamPolicy")?;
        let policy = request.policy.unwrap_or_default();
        let paths = request.update_mask.map(|mask| mask.paths).unwrap_or_default();
        Ok(Response::new(self.engine.run(SetQueuePolicy { queue, policy, paths }).await?))
    }

    async fn test_iam_permissions(
        &self,
        request: Request<iam::TestIamPermissionsRequest>,
    ) -> Result<Response<iam::TestIamPermissionsResponse>, Status> {
        let request = request.into_inner();
        let name = queue_of(&request.resource, "TestIamPermissions")?;
        check_permissions(&request.permissions)?;
        self.engine.read(|state, _| state.tasks.queue(&name).map(|_| ()))?;
        Ok(Response::new(iam::TestIamPermissionsResponse { permissions: request.permissions }))
    }

    async fn list_tasks(&self, request: Request<pb::ListTasksRequest>) -> Result<Response<pb::ListTasksResponse>, Status> {
        let view = request.get_ref().response_view();
        let request = request.into_inner();
        let queue = queue_name(named(&request.parent, "google.cloud.tasks.v2.CloudTasks.ListTasks")?)?;
        if request.page_size < 0 {
            return Err(Refusal::invalid("ListTasksRequest.pageSize cannot be negative.").into());
        }
        let wanted = page::wanted(request.page_size, &request.page_token, PAGE_TASKS_MAX);
        let wanted = wanted.map_err(|_| Refusal::invalid("Invalid page_token"))?;
        let response = self.engine.read(|state, _| {
            let page = state.tasks.list_tasks(&queue, wanted.from.as_deref(), wanted.limit)?;
            let tasks = page.items.into_iter().map(|item| task::to_proto(&queue, item, view)).collect();
            Ok::<_, Refusal>(pb::ListTasksResponse { tasks, next_page_token: page::token(page.next.as_deref()) })
        })?;
        Ok(Response::new(response))
    }

    async fn get_task(&self, request: Request<pb::GetTaskRequest>) -> Result<Response<pb::Task>, Status> {
        let view = request.get_ref().response_view();
        let name = task_name(named(&request.get_ref().name, "google.cloud.tasks.v2.CloudTasks.GetTask")?)?;
        let proto =
            self.engine.read(|state, now| Ok::<_, Refusal>(task::to_proto(name.queue(), state.tasks.task_or_trace(&name, now)?, view)))?;
        Ok(Response::new(proto))
    }

    async fn create_task(&self, request: Request<pb::CreateTaskRequest>) -> Result<Response<pb::Task>, Status> {
        let view = request.get_ref().response_view();
        let create = task::create(request.into_inner())?;
        let queue = create.queue.clone();
        let created = self.engine.run(create).await?;
        Ok(Response::new(task::to_proto(&queue, &created, view)))
    }

    async fn batch_create_tasks(&self, request: Request<pb::BatchCreateTasksRequest>) -> Result<Response<Operation>, Status> {
        Ok(Response::new(batch::create(&self.engine, request.into_inner()).await?))
    }

    async fn delete_task(&self, request: Request<pb::DeleteTaskRequest>) -> Result<Response<()>, Status> {
        let name = task_name(named(&request.get_ref().name, "google.cloud.tasks.v2.CloudTasks.DeleteTask")?)?;
        self.engine.run(DeleteTask(name)).await?;
        Ok(Response::new(()))
    }

    async fn batch_delete_tasks(&self, request: Request<pb::BatchDeleteTasksRequest>) -> Result<Response<Operation>, Status> {
        Ok(Response::new(batch::delete(&self.engine, request.get_ref()).await?))
    }

    async fn buffer_task(&self, request: Request<pb::BufferTaskRequest>) -> Result<Response<pb::BufferTaskResponse>, Status> {
        let request = request.into_inner();
        let queue = queue_name(&request.queue)?;
        let body = request.body.unwrap_or_default();
        let command = BufferTask { queue: queue.clone(), id: request.task_id, content_type: body.content_type, body: body.data.into() };
        let created = self.engine.run(command).await?;
        Ok(Response::new(pb::BufferTaskResponse { task: Some(task::to_proto(&queue, &created, pb::task::View::Basic)) }))
    }

    async fn get_cmek_config(&self, request: Request<pb::GetCmekConfigRequest>) -> Result<Response<pb::CmekConfig>, Status> {
        let location = cmek::location(&request.into_inner().name)?;
        let config = self.engine.read(|state, _| state.tasks.cmek_config(location));
        Ok(Response::new(cmek::to_proto(config)))
    }

    async fn update_cmek_config(&self, request: Request<pb::UpdateCmekConfigRequest>) -> Result<Response<pb::CmekConfig>, Status> {
        Ok(Response::new(cmek::to_proto(self.engine.run(cmek::update(request.into_inner())?).await?)))
    }

    async fn run_task(&self, request: Request<pb::RunTaskRequest>) -> Result<Response<pb::Task>, Status> {
        let view = request.get_ref().response_view();
        let name = task_name(named(&request.get_ref().name, "google.cloud.tasks.v2.CloudTasks.RunTask")?)?;
        let task = self.engine.run(RunTask(name.clone())).await?;
        Ok(Response::new(task::to_proto_as_run(name.queue(), &task, view)))
    }
}
