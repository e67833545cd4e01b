// Instants to jump to: events, begins of faults and phases, failures.

/** What does not pass by itself: a link that is up again is no event to look for. */
function places(stage) {
  const { events, info } = stage;
  return [
    ...events.filter((event) => !(event.kind === "link" && event.severity === "good")).map((event) => ({ t: event.t, text: event.text })),
    ...info.faults.map((fault) => ({ t: fault.start_s, text: `fault ${fault.name}` })),
    ...info.phases.map((phase) => ({ t: phase.start_s, text: `phase ${phase.name}` })),
  ];
}

function failures(stage) {
  const found = stage.events.filter((event) => event.severity === "bad" && event.kind !== "fault").map((event) => ({ t: event.t, text: event.text }));
  for (const limit of stage.allLimits) {
    if (limit.outcome !== "fail") continue;
    const t = limit.at_s ?? stage.rows.firstBroken(limit) ?? limit.start_s ?? stage.time.first_s;
    found.push({ t, text: `${limit.text} failed` });
  }
  return found;
}

/** Put the cursor on the next (step 1) or previous (-1) of them, or on the next failure; gives where. */
export function jumpTo(stage, step, isFailure = false) {
  const { time } = stage;
  const from = time.t === time.t ? time.t : time.start;
  const found = (isFailure ? failures(stage) : places(stage)).sort((a, b) => a.t - b.t);
  const near = 1e-4;
  let next = step > 0 ? found.find((place) => place.t > from + near) : found.findLast((place) => place.t < from - near);
  if (!next && isFailure) next = found[0];
  if (!next) { stage.tell(isFailure ? "no failure" : "no further event"); return null; }
  time.seek(next.t);
  stage.tell(next.text ?? "");
  return next;
}
