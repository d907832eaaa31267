"""When and how a person takes over: signals, cases, the queue and what people answered."""
