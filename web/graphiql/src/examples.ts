// The example operations: one button and, at first, one tab each.
import checkIn from "./examples/check_in.graphql";
import late from "./examples/late.graphql";
import monthGrid from "./examples/month_grid.graphql";
import today from "./examples/today.graphql";

export interface Example {
  label: string;
  operationName: string;
  query: string;
}

/** The month grid of the file is any month's; the page asks for the present one. */
function monthGridOn(day: Date): string {
  return monthGrid
    .replace(/year: \d+/, `year: ${day.getFullYear()}`)
    .replace(/month: \d+/, `month: ${day.getMonth() + 1}`);
}

export function examplesOn(day: Date): Example[] {
  return [
    { label: "Today", operationName: "Today", query: today },
    { label: "Late this month by department", operationName: "LateThisMonthByDepartment", query: late },
    { label: "Month grid", operationName: "MonthGrid", query: monthGridOn(day) },
    { label: "Check in", operationName: "CheckIn", query: checkIn },
  ];
}
