package table

import "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

func itemBytes(i Item) (n int) {
	for name, v := range i {
		n += len(name) + valueBytes(v)
	}
	return n
}

func valueBytes(v types.AttributeValue) (n int) {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return len(v.Value)
	case *types.AttributeValueMemberB:
		return len(v.Value)
	case *types.AttributeValueMemberM:
		return 3 + len(v.Value) + itemBytes(v.Value)
	case *types.AttributeValueMemberL:
		for _, e := range v.Value {
			n += 1 + valueBytes(e)
		}
		return 3 + n
	}
	return 21 // a number has up to 38 digits, in half as many bytes
}

// BytesOf is what the items of a transaction's puts have, as DynamoDB counts them (developer guide, "DynamoDB item
// sizes and formats"), numbers at their longest.
func BytesOf(writes []types.TransactWriteItem) (n int) {
	for _, w := range writes {
		if w.Put != nil {
			n += itemBytes(w.Put.Item)
		}
	}
	return n
}
