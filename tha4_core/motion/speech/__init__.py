"""Speech to a mouth that speaks it: from sound, and from written timings."""
