package destination

// OptionLister is a destination with parameters whose values the customer's system can list once its credentials are
// known: a project of Jira's. System.Choosable names them.
type OptionLister interface {
	Destination
	// Options makes the request for a page of the values of one; page is "" for the first. Parameters that are still to
	// be chosen are empty. The error is a sentence for an administrator.
	Options(parameters any, field, page string) (Request, error)
	// Choices reads the answer. next is the page that follows, "" for none.
	Choices(field string, r Response) (list []Option, next string, v Verdict)
}

// Option is a value that a parameter can have.
type Option struct {
	Value string `json:"value"`
	Title string `json:"title"`
}
