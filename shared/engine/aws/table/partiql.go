package table

import (
	"context"
	"fmt"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"
)

// statementCalls is how many calls of one batch are under way at once.
const statementCalls = 4

// insertion is the statement that writes an item unless there is one with its key. DynamoDB has no other conditional
// write that takes many items in a call without the price of a transaction, which is twice a write.
func insertion(table string, row Item) types.BatchStatementRequest {
	names := SortedNames(row)
	var b strings.Builder
	b.WriteString(`INSERT INTO "` + table + `" VALUE {`)
	parameters := make([]types.AttributeValue, len(names))
	for n, name := range names {
		if n > 0 {
			b.WriteString(", ")
		}
		b.WriteString("'" + name + "': ?")
		parameters[n] = row[name]
	}
	b.WriteString("}")
	return types.BatchStatementRequest{Statement: awssdk.String(b.String()), Parameters: parameters}
}

// InsertAll writes items and tells which of them were there already and stay as they are.
func InsertAll(ctx context.Context, db *dynamodb.Client, table string, rows []Item) (exists []bool, err error) {
	statements := make([]types.BatchStatementRequest, len(rows))
	for n, row := range rows {
		statements[n] = insertion(table, row)
	}
	return ExecuteAll(ctx, db, statements)
}

// ExecuteAll carries out conditional writes, each by itself, 25 a call and some calls at once. unmet tells of which the
// condition did not hold. After an error some of them may have been carried out.
func ExecuteAll(
	ctx context.Context, db *dynamodb.Client, statements []types.BatchStatementRequest,
) (unmet []bool, err error) {
	unmet = make([]bool, len(statements))
	var work errgroup.Group
	work.SetLimit(statementCalls)
	for first := 0; first < len(statements); first += StatementLimit {
		last := min(first+StatementLimit, len(statements))
		work.Go(func() error { return execute(ctx, db, statements[first:last], unmet[first:last]) })
	}
	return unmet, work.Wait()
}

// execute makes one call, again for the statements that DynamoDB had no capacity for.
func execute(ctx context.Context, db *dynamodb.Client, statements []types.BatchStatementRequest, unmet []bool) error {
	places := make([]int, len(statements))
	for n := range places {
		places[n] = n
	}
	return untilProcessed(ctx, func() (bool, error) {
		request := make([]types.BatchStatementRequest, len(places))
		for n, place := range places {
			request[n] = statements[place]
		}
		out, err := db.BatchExecuteStatement(ctx, &dynamodb.BatchExecuteStatementInput{Statements: request})
		if err != nil {
			return false, err
		}
		var again []int
		for n, r := range out.Responses {
			if r.Error == nil {
				continue
			}
			switch r.Error.Code {
			case types.BatchStatementErrorCodeEnumDuplicateItem,
				types.BatchStatementErrorCodeEnumConditionalCheckFailed:
				unmet[places[n]] = true
			case types.BatchStatementErrorCodeEnumThrottlingError,
				types.BatchStatementErrorCodeEnumProvisionedThroughputExceeded,
				types.BatchStatementErrorCodeEnumRequestLimitExceeded,
				types.BatchStatementErrorCodeEnumInternalServerError,
				types.BatchStatementErrorCodeEnumTransactionConflict:
				again = append(again, places[n])
			default:
				return false, &statementError{code: string(r.Error.Code), text: awssdk.ToString(r.Error.Message)}
			}
		}
		places = again
		return len(places) == 0, nil
	})
}

// statementError is the error of one statement of a call. It is a smithy.APIError, as that of a call of its own would
// be.
type statementError struct{ code, text string }

func (e *statementError) Error() string {
	return fmt.Sprintf("a statement failed: %s: %s", e.code, e.text)
}
func (e *statementError) ErrorCode() string    { return e.code }
func (e *statementError) ErrorMessage() string { return e.text }

// ErrorFault does not tell whose fault it is: the code does.
func (e *statementError) ErrorFault() smithy.ErrorFault { return smithy.FaultUnknown }

var _ smithy.APIError = (*statementError)(nil)
