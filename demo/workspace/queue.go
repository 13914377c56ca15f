// Package queue holds jobs until somebody has time for them.
package queue

import (
	"errors"
	"sync"
)

// ErrEmpty says that there is nothing to do.
var ErrEmpty = errors.New("queue: empty")

// Job is a piece of work.
type Job struct {
	ID       int
	Priority int
}

// Queue is safe for use by several goroutines.
type Queue struct {
	mu   sync.Mutex
	jobs []Job
}

// Push puts a job at the end.
func (q *Queue) Push(job Job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.jobs = append(q.jobs, job)
}

// Pop takes the first job.
func (q *Queue) Pop() (Job, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.jobs) == 0 {
		return Job{}, ErrEmpty
	}
	job := q.jobs[0]
	q.jobs = q.jobs[1:]
	return job, nil
}

// Len says how many jobs are waiting.
func (q *Queue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.jobs)
}
