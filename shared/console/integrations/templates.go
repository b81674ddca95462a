package integrations

import (
	"tocsin/shared/messagetemplate"
)

// MessageTemplateView is a message template.
type MessageTemplateView struct {
	Title string `json:"title,omitempty" maxLength:"500" doc:"of messages, subjects and tickets; empty: the standard title" example:"{{.Symbol}} {{.Headline}}: {{.Host}}"`
	Text  string `json:"text,omitempty" maxLength:"4000" doc:"in place of the sentence and the labelled lines; empty: the standard text" example:"{{.Details}}"`
}

// MessageTemplateChange changes a message template: what is left out stays.
type MessageTemplateChange struct {
	Title *string `json:"title,omitempty" maxLength:"500" doc:"empty: the standard title" example:"{{.Symbol}} {{.Headline}}: {{.Host}}"`
	Text  *string `json:"text,omitempty" maxLength:"4000" doc:"empty: the standard text" example:"{{.Details}}"`
}

// Merged makes it a rest.Merged.
func (*MessageTemplateChange) Merged() {}

// MessageTemplateRulesView is what a message template can hold.
type MessageTemplateRulesView struct {
	Fields    []string `json:"fields" doc:"what it can read of an event" example:"[\"Kind\",\"Severity\"]"`
	Functions []string `json:"functions" doc:"how each function is used" example:"[\"cut 80 .Path\"]"`
	MostTitle int      `json:"most_title" doc:"characters of a title's template" example:"500"`
	MostText  int      `json:"most_text" doc:"characters of a text's template" example:"4000"`
}

func templateRules() *MessageTemplateRulesView {
	return &MessageTemplateRulesView{Fields: messagetemplate.Fields(), Functions: messagetemplate.Functions(),
		MostTitle: messagetemplate.MaxTitle, MostText: messagetemplate.MaxText}
}

// templateView is nil of an integration whose messages are ours.
func templateView(s messagetemplate.Source) *MessageTemplateView {
	if s == (messagetemplate.Source{}) {
		return nil
	}
	return &MessageTemplateView{s.Title, s.Text}
}

func (v *MessageTemplateView) source() messagetemplate.Source {
	if v == nil {
		return messagetemplate.Source{}
	}
	return messagetemplate.Source{Title: v.Title, Text: v.Text}
}
