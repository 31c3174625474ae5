"""Game days: people, experiments and drills in one plan, played in order, kept in one record.

plan       the YAML of a game day
cron       when it comes again, as cron expressions that every scheduler reads alike
calendar   what is next, and what was missed
record     what happened, appended and on disk at once
steps      from the plan and the record to what comes next; pure
day        from the plan and the record to what the whole day came to; pure
parts      a part as a process of its own
people     prompts, approvals, notes
live       the day that is under way on this machine
play       the loop that ties these together
folder     the day's evidence and reports on disk
page       the report of the day, as HTML and Markdown
schedule   the plan for schedulers: kubernetes, systemd, github
"""
