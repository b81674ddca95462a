// What stands at the foot of a form when it was refused, and where the focus goes then: the same for every form.
import { html } from "../html.js";
import { said, t } from "../i18n.js";
import { Failure, Notice } from "../ui.js";
import { Conflict } from "./conflict.js";

// focusWrong goes to the first control that is wrong, once it is drawn so.
export function focusWrong(form) {
	requestAnimationFrame(() => {
		const wrong = form?.querySelector(".invalid");
		const details = wrong?.closest("details");
		if (details) details.open = true;
		wrong?.querySelector("input, select, textarea, button")?.focus();
	});
}

// Faults: what are the words for a change by somebody else, known says whether a field's fault is shown at the field.
export function Faults({ error, changed, what, again, over, known }) {
	return html`
		${(changed || error?.status === 412) &&
		html`
			<${Conflict} what=${what} again=${again} over=${over} />
		`}
		${error &&
		error.status !== 412 &&
		(error.fields?.length
			? html`
					<${Notice} kind="bad" role="alert">
						<p>${t("form.wrong")}</p>
						${error.fields
							.filter((f) => !known(f.field))
							.map(
								(f) => html`
									<p>${f.field}: ${said(f.reason)}</p>
								`,
							)}
					<//>
				`
			: html`
					<${Failure} error=${error} />
				`)}
	`;
}
