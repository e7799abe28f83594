"""Private evals: tasks from judged cases, scorers and a runner that never pays twice."""
