//! Names of queues and tasks, read with Google's words for what is wrong about them.

use crate::emulator::state::{Help, Refusal};
use crate::names::{Location, QueueName, TaskName};

const OF_QUEUES: &str = "https://cloud.google.com/tasks/docs/reference/rest/v2/projects.locations.queues#Queue.FIELDS.name";
const OF_TASKS: &str = "https://cloud.google.com/tasks/docs/reference/rest/v2/projects.locations.queues.tasks#Task.FIELDS.name";
static QUEUE_NAME: Help = Help { description: "Definition of queue name", url: OF_QUEUES };
static QUEUE_ID: Help = Help { description: "Definition of queue ID", url: OF_QUEUES };
static TASK_NAME: Help = Help { description: "Definition of task name", url: OF_TASKS };
static TASK_ID: Help = Help { description: "Definition of task ID", url: OF_TASKS };

/// Reads the full name of a queue.
pub(crate) fn queue_name(text: &str) -> Result<QueueName, Refusal> {
    text.parse().map_err(|_| bad_queue_id(text).unwrap_or_else(malformed_queue))
}

/// Reads the full name of a task.
pub(crate) fn task_name(text: &str) -> Result<TaskName, Refusal> {
    text.parse().map_err(|_| {
        let (queue, id) = text.rsplit_once("/tasks/").unwrap_or_default();
        if queue.parse::<QueueName>().is_err() {
            return bad_queue_id(queue).unwrap_or_else(malformed_task);
        }
        if id.is_empty() || id.contains('/') {
            return malformed_task();
        }
        let rule = "can contain only letters ([A-Za-z]), numbers ([0-9]), hyphens (-), or underscores (_). \
                    Task ID must between 1 and 500 characters.";
        Refusal::invalid(format!("Task ID \"{id}\" {rule}")).with_help(&TASK_ID)
    })
}

/// What is wrong with a name of which only the id is.
fn bad_queue_id(text: &str) -> Option<Refusal> {
    let (location, id) = text.rsplit_once("/queues/")?;
    if location.parse::<Location>().is_err() || id.is_empty() || id.contains('/') {
        return None;
    }
    let rule = "can contain only letters ([A-Za-z]), numbers ([0-9]), or hyphens (-). Queue ID must be between 1 and 100 characters.";
    Some(Refusal::invalid(format!("Queue ID \"{id}\" {rule}")).with_help(&QUEUE_ID))
}

fn malformed_queue() -> Refusal {
    let text = "Queue name must be formatted: \"projects/<PROJECT_ID>/locations/<LOCATION_ID>/queues/<QUEUE_ID>\".";
    Refusal::invalid(text).with_help(&QUEUE_NAME)
}

fn malformed_task() -> Refusal {
    let text = "Task name must be formatted: \"projects/<PROJECT_ID>/locations/<LOCATION_ID>/queues/<QUEUE_ID>/tasks/<TASK_ID>\".";
    Refusal::invalid(text).with_help(&TASK_NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_name_is_said_with_a_link() {
        const QUEUE: &str = "projects/p/locations/l/queues/q";
        let said = |refusal: Refusal| (refusal.message, refusal.help.unwrap().description);
        for (name, begins, help) in [
            ("bad", "Queue name must be formatted: ", "Definition of queue name"),
            ("projects/p/locations/l/queues", "Queue name must be formatted: ", "Definition of queue name"),
            ("projects/p/locations/l/queues/not_valid", "Queue ID \"not_valid\" can contain only letters", "Definition of queue ID"),
        ] {
            let (message, description) = said(queue_name(name).unwrap_err());
            assert!(message.starts_with(begins) && description == help, "{name}: {message} ({description})");
        }
        for (name, begins, help) in [
            ("bad".to_owned(), "Task name must be formatted: ", "Definition of task name"),
            (format!("{QUEUE}/tasks"), "Task name must be formatted: ", "Definition of task name"),
            (format!("{QUEUE}/tasks/t/extra"), "Task name must be formatted: ", "Definition of task name"),
            (format!("{QUEUE}/tasks/not valid"), "Task ID \"not valid\" can contain only letters", "Definition of task ID"),
            (format!("{QUEUE}_/tasks/t"), "Queue ID \"q_\" can contain only letters", "Definition of queue ID"),
        ] {
            let (message, description) = said(task_name(&name).unwrap_err());
            assert!(message.starts_with(begins) && description == help, "{name}: {message} ({description})");
        }
        assert!(queue_name(QUEUE).is_ok() && task_name(&format!("{QUEUE}/tasks/t_1")).is_ok());
    }
}
