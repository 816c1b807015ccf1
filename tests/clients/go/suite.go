// Google's Go clients against the emulator, made by the lines that `redrive emulator` prints for Go.
//
// The lines are pasted by tests/it/clients.rs where the mark below stands. The clients are those that Debian packages: older than the
// ones a new service would take, and therefore a second generation of clients to serve.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"sort"
	"strings"
	"time"

	cloudtasks "cloud.google.com/go/cloudtasks/apiv2"
	"cloud.google.com/go/pubsub"
	scheduler "cloud.google.com/go/scheduler/apiv1"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
	schedulerpb "google.golang.org/genproto/googleapis/cloud/scheduler/v1"
	taskspb "google.golang.org/genproto/googleapis/cloud/tasks/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	location = "projects/demo/locations/europe-west1"
	patience = 30 * time.Second
)

var passed, failed int

// check counts one test; a test that returns an error has failed.
func check(name string, test func() error) {
	if err := test(); err != nil {
		failed++
		fmt.Printf("FAILED  %s\n%v\n", name, err)
		return
	}
	passed++
	fmt.Printf("ok      %s\n", name)
}

func differ(what string, got, want interface{}) error {
	if fmt.Sprint(got) == fmt.Sprint(want) {
		return nil
	}
	return fmt.Errorf("%s: %v, not %v", what, got, want)
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	defer cancel()
	// PRINTED

	var topic *pubsub.Topic
	check("messages come by streaming pull as they were published", func() (err error) {
		if topic, err = messages.CreateTopic(ctx, "pasted-go"); err != nil {
			return err
		}
		subscription, err := messages.CreateSubscription(ctx, "pasted-go", pubsub.SubscriptionConfig{Topic: topic, EnableMessageOrdering: true})
		if err != nil {
			return err
		}
		topic.EnableMessageOrdering = true
		var sent, came []string
		for n := 0; n < 100; n++ {
			data := fmt.Sprintf("message %d", n)
			id, err := topic.Publish(ctx, &pubsub.Message{Data: []byte(data), Attributes: map[string]string{"n": fmt.Sprint(n)}, OrderingKey: "k"}).Get(ctx)
			if err != nil {
				return err
			}
			sent = append(sent, id+" "+data+" "+fmt.Sprint(n)+" k")
		}
		receiving, done := context.WithTimeout(ctx, patience)
		defer done()
		err = subscription.Receive(receiving, func(_ context.Context, message *pubsub.Message) {
			came = append(came, message.ID+" "+string(message.Data)+" "+message.Attributes["n"]+" "+message.OrderingKey)
			message.Ack()
			if len(came) == len(sent) {
				done()
			}
		})
		if err != nil {
			return err
		}
		return differ("in order of their key", came, sent)
	})
	check("a topic and its subscriptions are listed and deleted", func() error {
		subscriptions := topic.Subscriptions(ctx)
		found, err := subscriptions.Next()
		if err != nil {
			return err
		}
		if err := differ("the subscription", found.String(), "projects/demo/subscriptions/pasted-go"); err != nil {
			return err
		}
		if _, err := subscriptions.Next(); err != iterator.Done {
			return fmt.Errorf("one more than was made: %v", err)
		}
		if err := found.Delete(ctx); err != nil {
			return err
		}
		if exists, err := found.Exists(ctx); err != nil || exists {
			return fmt.Errorf("deleted, but exists: %v, %v", exists, err)
		}
		if _, err := messages.CreateTopic(ctx, "pasted-go"); status.Code(err) != codes.AlreadyExists {
			return fmt.Errorf("made twice: %v", err)
		}
		return nil
	})
	check("a queue and its tasks", func() error {
		queue, err := tasks.CreateQueue(ctx, &taskspb.CreateQueueRequest{Parent: location, Queue: &taskspb.Queue{Name: location + "/queues/pasted-go"}})
		if err != nil {
			return err
		}
		if err := differ("attempts", queue.GetRetryConfig().GetMaxAttempts(), 100); err != nil {
			return err
		}
		if _, err := tasks.PauseQueue(ctx, &taskspb.PauseQueueRequest{Name: queue.Name}); err != nil {
			return err
		}
		var made []string
		for n := 0; n < 3; n++ {
			request := &taskspb.HttpRequest{Url: "http://127.0.0.1:9/", Body: []byte("x"), HttpMethod: taskspb.HttpMethod_PUT}
			task, err := tasks.CreateTask(ctx, &taskspb.CreateTaskRequest{Parent: queue.Name, Task: &taskspb.Task{MessageType: &taskspb.Task_HttpRequest{HttpRequest: request}}})
			if err != nil {
				return err
			}
			made = append(made, task.Name)
		}
		var listed []string
		for found := tasks.ListTasks(ctx, &taskspb.ListTasksRequest{Parent: queue.Name, PageSize: 2}); ; {
			task, err := found.Next()
			if err == iterator.Done {
				break
			}
			if err != nil {
				return err
			}
			listed = append(listed, task.Name)
		}
		sort.Strings(made)
		sort.Strings(listed)
		if err := differ("over two pages", listed, made); err != nil {
			return err
		}
		_, err = tasks.GetTask(ctx, &taskspb.GetTaskRequest{Name: queue.Name + "/tasks/none"})
		return differ("a task that is not there", status.Code(err), codes.NotFound)
	})
	check("a job", func() error {
		target := &schedulerpb.Job_HttpTarget{HttpTarget: &schedulerpb.HttpTarget{Uri: "http://127.0.0.1:9/"}}
		job := &schedulerpb.Job{Name: location + "/jobs/pasted-go", Schedule: "0 3 * * *", TimeZone: "Europe/Paris", Target: target}
		made, err := jobs.CreateJob(ctx, &schedulerpb.CreateJobRequest{Parent: location, Job: job})
		if err != nil {
			return err
		}
		if err := differ("its state", made.State, schedulerpb.Job_ENABLED); err != nil {
			return err
		}
		paused, err := jobs.PauseJob(ctx, &schedulerpb.PauseJobRequest{Name: made.Name})
		if err != nil {
			return err
		}
		if err := differ("its state", paused.State, schedulerpb.Job_PAUSED); err != nil {
			return err
		}
		job.Name, job.Schedule = location+"/jobs/wrong", "61 * * * *"
		_, err = jobs.CreateJob(ctx, &schedulerpb.CreateJobRequest{Parent: location, Job: job})
		if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "Schedule or time zone is invalid.") {
			return fmt.Errorf("a schedule that is none: %v", err)
		}
		return nil
	})
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		os.Exit(1)
	}
}
