// Stock k6: POST to /invocations, at a constant arrival rate or as fast as so many users can.
import http from "k6/http";

const rate = Number(__ENV.RATE_RPS);
const duration = `${__ENV.DURATION_S}s`;
const scenario = rate
  ? { executor: "constant-arrival-rate", rate, timeUnit: "1s", duration,
      preAllocatedVUs: Number(__ENV.USERS), maxVUs: Number(__ENV.USERS) }
  : { executor: "constant-vus", vus: Number(__ENV.USERS), duration };

export const options = {
  scenarios: { bench: scenario },
  summaryTrendStats: ["p(95)", "p(99)"],
};

export default function () {
  http.post(__ENV.URL, "[1]", { headers: { "Content-Type": "application/json" } });
}
